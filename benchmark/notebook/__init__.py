"""For notebooks: any model's scores, trained models by name, and a first look at a regularizer,
without files or database.
"""

from .loading import load_images, load_model
from .scores import benchmark, evaluate
from .trying import try_regularizer

__all__ = ["benchmark", "evaluate", "load_images", "load_model", "try_regularizer"]
