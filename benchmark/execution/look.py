"""A trained trial from both sides, in the process that asks: a module that loads torch."""

from ..trials.certify import Looked, look_at

__all__ = ["Looked", "look_at"]
