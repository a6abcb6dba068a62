"""What is so of each image of a small network: robust or broken. Not beside the certificates, as
SciPy's optimizers, half a second to load, would come into every worker.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from registry.spec import InputError

from ..measures.certificates import relu_bounds
from ..measures.exact import smallest_margin
from ..measures.layer_chain import NoCertificateError


def exact_verdicts(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    epsilon: float,
    seconds: float,
    on_images: Callable[[int], None] = lambda images: None,
) -> list[str]:
    """Of each image "robust", "broken" or "not decided" within the ℓ∞ ball: bounds spare the exact
    search what they decide of its switches.

    Args:
        seconds: for each image.
    Raises:
        InputError: the network has layers other than affine ones and ReLU.
    """
    found = []
    for image, label in zip(x, y.tolist()):
        try:
            known = relu_bounds(model, image[None], epsilon)
            minimum = smallest_margin(model, image, label, epsilon, seconds=seconds, known=known)
        except NoCertificateError as error:
            raise InputError(
                f"an exact search needs affine layers and ReLU alone: {error}"
            ) from None
        found.append(minimum.verdict)
        on_images(1)
    return found
