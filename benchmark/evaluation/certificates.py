"""What of a model is proven: the share of images whose class no perturbation within a radius
changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from registry.spec import Radius

from ..measures.certificates import affordable, certified
from ..measures.layer_chain import NoCertificateError
from .classified import classified
from .found import Found

BATCH = 32  # images between two calls of `on_images`


def certificates(
    radii: Sequence[Radius],
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    on_images: Callable[[int], None] = lambda images: None,
) -> list[Found]:
    """Of each radius which images are certified, and their share; of a network that cannot be
    bounded "no_certificate" instead.

    An image counts at a radius if it is classified correctly and proven at this one and at every
    smaller one of `radii`: what a smaller radius leaves unproven is not tried at a larger.

    Args:
        radii: of one norm.
        model: images [N,C,H,W] in [0,1] → logits [N,K], in evaluation mode.
        x: [N,C,H,W].
        y: [N] class indices.
        on_images: told after each step how many images it was about; in all N for each radius.
    """
    try:
        method = affordable(model, (x.shape[1], x.shape[2], x.shape[3]))
    except NoCertificateError:
        return [Found({}, {"no_certificate": 1.0}) for _ in radii]
    proven = classified(model, x, y)
    found: dict[Radius, Found] = {}
    for radius in sorted(radii, key=lambda radius: radius.epsilon):
        proven = proven.clone()
        for rows in torch.arange(len(x), device=x.device).split(BATCH):
            tried = rows[proven[rows]]
            if len(tried):
                proven[tried] = certified(
                    model, x[tried], y[tried], radius.epsilon, radius.norm, method=method
                )
            on_images(len(rows))
        share = proven.double().mean()
        found[radius] = Found({"certified": proven}, {"certified_accuracy": share})
    return [found[radius] for radius in radii]
