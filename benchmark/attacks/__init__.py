"""Attacks on any classifier of images, for any number of classes: `attack` runs a registered threat
on a test set.

The kernels are pure functions that training may use as well: `fgsm`, `pgd`, `malt`,
`deepfool`, `carlini_wagner`.
"""

from .autoattack import square
from .carlini_wagner import carlini_wagner
from .deepfool import deepfool
from .malt import malt
from .objective import margin, misclassified
from .perturbation import unit_ball
from .pgd import fgsm, pgd
from .run import attack, attack_curve

__all__ = [
    "attack",
    "attack_curve",
    "carlini_wagner",
    "deepfool",
    "fgsm",
    "malt",
    "margin",
    "misclassified",
    "pgd",
    "square",
    "unit_ball",
]
