"""Perturbations in the ℓ∞ and ℓ2 norms: size, steepest direction, projection, random start."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from registry.spec import Norm

Bounds = tuple[float, float]


def per_example(value: float | Tensor, x: Tensor) -> Tensor:
    """A number, or a tensor [N] of numbers, as a tensor of x's dtype and device that broadcasts
    over images.

    Returns:
        [N,1,1,1].
    Raises:
        ValueError: a tensor of another shape than [N].
    """
    if not isinstance(value, Tensor):
        value = x.new_full((), value)  # filled on the device, which waits for nothing
    values = value.to(x)
    if values.dim() and values.shape != x.shape[:1]:
        raise ValueError(
            f"needs one number or one for each of the {len(x)} images, not shape "
            f"{tuple(values.shape)}"
        )
    return values.expand(len(x)).view(-1, *[1] * (x.dim() - 1))


def size(delta: Tensor, norm: Norm) -> Tensor:
    """[N,...] → [N]: the norm of each example's perturbation."""
    return torch.linalg.vector_norm(delta.flatten(1), math.inf if norm == "inf" else 2, dim=1)


def steepest(gradient: Tensor, norm: Norm) -> Tensor:
    """The perturbation of norm ≤ 1 along which a linear function with this gradient rises most; 0
    where it is flat.

    Args:
        gradient: [N,...]; NaN counts as 0.
    """
    gradient = gradient.nan_to_num(nan=0.0)
    if norm == "inf":
        return gradient.sign()
    # Scaled by the largest entry first: the squares of a saturated model's gradients underflow.
    largest = gradient.flatten(1).abs().amax(1).view(-1, *[1] * (gradient.dim() - 1))
    scaled = gradient / largest.where(largest > 0, 1)
    length = size(scaled, "2").view_as(largest)
    return scaled / length.where(length > 0, 1)


def project(adversarial: Tensor, x: Tensor, epsilon: Tensor, norm: Norm, bounds: Bounds) -> Tensor:
    """Back into the ball of radius epsilon around x, then into the box: inside both, as x lies in
    the box.

    Args:
        adversarial, x: [N,C,H,W].
        epsilon: [N,1,1,1], see `per_example`.
    """
    delta = adversarial - x
    if norm == "inf":
        delta = delta.clamp(-epsilon, epsilon)
    else:
        share = (epsilon / size(delta, "2").view_as(epsilon)).clamp(max=1)
        delta = delta * share.nan_to_num(nan=1.0)
    return (x + delta).clamp(*bounds)


def unit_ball(
    shape: Sequence[int], norm: Norm, *, rand: Callable[..., Tensor], randn: Callable[..., Tensor]
) -> Tensor:
    """Points uniform in the unit ball of R^n, n the product of shape[1:]: random starts in units of
    epsilon.

    Args:
        shape: (N,C,H,W).
        rand, randn: shape → uniform on [0,1), standard normal; in training `step.rand` and
            `step.randn`.
    Source:
        The ℓ2 ball is the shadow of the sphere two dimensions up (Voelker et al. 2017).
    """
    if norm == "inf":
        return 2 * rand(tuple(shape)) - 1
    n = math.prod(shape[1:])
    normal = randn((shape[0], n + 2))
    sphere = normal / torch.linalg.vector_norm(normal, dim=1, keepdim=True)
    return sphere[:, :n].reshape(tuple(shape))


def drawn_unit_ball(
    shape: Sequence[int], norm: Norm, generator: torch.Generator, dtype: torch.dtype
) -> Tensor:
    """`unit_ball` from a generator of the CPU, on the CPU: the same points on every device."""
    draw: dict[str, Any] = {"generator": generator, "dtype": dtype}
    rand, randn = partial(torch.rand, **draw), partial(torch.randn, **draw)
    return unit_ball(shape, norm, rand=rand, randn=randn)
