"""What attacks raise: the losses, when an example counts as misclassified, and the loss's input
gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from .frozen import Model

Loss = Literal["ce", "margin", "target"]


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """max_{j≠y} z_j − z_y (Carlini & Wagner 2017): above 0 where misclassified.

    Its negative is `measures.margins.margin`: an attack raises what a measure wants high.

    Args:
        logits: [N,K].
        y: [N] class indices.
    Returns:
        [N], in logits.
    """
    others = logits.scatter(1, y[:, None], -torch.inf)
    return others.max(1).values - logits.gather(1, y[:, None])[:, 0]


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """−log p_y. [N,K], [N] → [N]."""
    return torch.nn.functional.cross_entropy(logits, y, reduction="none")


def lead_of_target(logits: Tensor, classes: Tensor) -> Tensor:
    """z_t − z_y: above 0 the image is misclassified, if not always as t. [N,K], [N,2] of (y, t) →
    [N].
    """
    own, target = logits.gather(1, classes).unbind(1)
    return target - own


LOSSES: dict[Loss, Callable[[Tensor, Tensor], Tensor]] = {
    "ce": cross_entropy,
    "margin": margin,
    "target": lead_of_target,
}


def misclassified(logits: Tensor, y: Tensor) -> Tensor:
    """[N] bool: another class than y has the largest logit, or a logit is not finite (no answer is
    a wrong one).
    """
    return (logits.argmax(1) != y) | ~logits.isfinite().all(1)


def input_gradient(model: Model, x: Tensor, y: Tensor, loss: Loss) -> tuple[Tensor, Tensor, Tensor]:
    """One forward and one backward pass to the images alone: no parameter is differentiated and no
    `.grad` written.

    Args:
        y: what the loss takes beside the logits: class indices [N], or [N,2] of (y, t) for
            "target".
    Returns:
        gradient [N,C,H,W] of each example's own loss, losses [N], logits [N,K].
    """

    def objective(images: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        logits = model(images)
        losses = LOSSES[loss](logits, y)
        return losses.sum(), (losses, logits)

    # Of the passes around this one; torch.func.grad differentiates inside it all the same.
    with torch.no_grad():
        gradient, (losses, logits) = torch.func.grad(objective, has_aux=True)(x)
    return gradient, losses, logits
