"""Rows → who stands where, how surely, and what that says of the papers' claims. Loads no torch."""

from .board import board
from .bootstrap import difference
from .selection import select_lambda
from .standings import standings

__all__ = ["board", "difference", "select_lambda", "standings"]
