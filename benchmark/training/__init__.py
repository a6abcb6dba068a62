"""How networks are made and trained: one loop, and its stacked twin for many models at once."""

from .loop import Training, train
from .networks import create, load, placed, save
from .phase import Phase
from .stacked import train_stacked

__all__ = ["Phase", "Training", "create", "load", "placed", "save", "train", "train_stacked"]
