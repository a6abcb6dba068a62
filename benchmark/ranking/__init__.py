"""Rows → who stands where, how surely, and what that says of the papers' claims. Loads no torch."""
