"""How things are called, written and styled on every page."""
