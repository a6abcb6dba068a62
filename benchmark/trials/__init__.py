"""One trial from its spec to its outcome, or a group of them at once: all that a worker runs."""
