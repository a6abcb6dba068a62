"""Images as tensors, from whichever source has them, in one fixed order."""

from .splits import Data, Split, load

__all__ = ["Data", "Split", "load"]
