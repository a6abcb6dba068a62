"""A trained model under a track's evaluation: which columns and scores each part gives."""
