"""What the pages read, what the reader chose, and what stands around every page."""
