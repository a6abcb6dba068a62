"""Rows → who stands where, how surely, and what that says of the papers' claims. Loads no torch."""

from .board import board
from .comparison import difference
from .standings import standings

__all__ = ["board", "difference", "standings"]
