"""Certificates: images whose class no perturbation within a ball can change, proven by bounds of
the network's margins.

Proven is: every image of float32 pixels in [0, 1] within ε of x gets a larger logit for y than for
every other class, by the network in exact arithmetic as well as in float32 that sums products in
any order (`layer_chain` says which roundings that allows for). As an attack rounds its images to
float32 too, the ball is taken larger by that rounding of each pixel.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from registry.spec import Norm

from .interval_bounds import through
from .layer_chain import Activation, Chain, read_chain
from .linear_bounds import NUMBERS_AT_ONCE, LinearBounds, coefficients
from .linear_rows import Ball, Rows

Method = Literal["intervals", "crown"]
# Coefficients that CROWN's functions of one layer may have for an image, 2 MiB. LeNet-5 has a
# quarter of it and takes half a second; a network with five times as many takes minutes.
AFFORDABLE = 2**18
PIXEL = 2.0**-23  # what float32 may move a pixel by: x + δ, and δ before it, rounded


def certified(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    epsilon: float,
    norm: Norm,
    *,
    method: Method = "crown",
) -> Tensor:
    """[N] bool: whether no perturbation of norm at most ε changes the class from y. The rest as for
    `margin_lower_bounds`.
    """
    return (margin_lower_bounds(model, x, y, epsilon, norm, method=method) > 0).all(1)


def affordable(model: nn.Module, shape: tuple[int, int, int], most: int = AFFORDABLE) -> Method:
    """ "crown" where a layer's functions have at most so many coefficients for an image of shape
    (C, H, W), else "intervals", which cost no more than the network.

    Raises NoCertificateError, as `margin_lower_bounds` does.
    """
    return "crown" if _widest(read_chain(model, shape)) <= most else "intervals"


def margin_lower_bounds(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    epsilon: float,
    norm: Norm,
    *,
    method: Method = "crown",
) -> Tensor:
    """Lower bounds of z_y − z_j over the ball of radius ε around each image, clipped to [0, 1].

    Args:
        model: images [N, C, H, W] → logits [N, K]; bounded as in evaluation mode.
        x: [N, C, H, W] in [0, 1].
        y: [N] class indices.
        epsilon: in input units.
        method: "crown" carries linear functions back to the pixels, "intervals" each layer's
            smallest and largest numbers forwards; of both the better bound is taken with "crown".
    Returns:
        [N, K], float64, in logits; inf at j = y.
    Raises:
        NoCertificateError: the network has a part that no bound is known for.
    """
    chain = read_chain(model, (x.shape[1], x.shape[2], x.shape[3]))
    at_once = max(1, NUMBERS_AT_ONCE // _widest(chain)) if method == "crown" else max(1, len(x))
    bound = _by_rows if method == "crown" else _by_intervals
    with torch.no_grad():
        some = zip(x.double().split(at_once), y.split(at_once))
        found = [bound(chain, ball(images, epsilon, norm), labels) for images, labels in some]
        margins = torch.cat(found) if found else x.new_zeros(0, chain.shapes[-1][0]).double()
    return margins.scatter(1, y[:, None], torch.inf)


def relu_bounds(model: nn.Module, x: Tensor, epsilon: float) -> list[tuple[Tensor, Tensor]]:
    """CROWN's bounds [N, ...] of each ReLU's inputs over the ℓ∞ ball: what `exact.smallest_margin`
    may know beforehand. The rest as for `margin_lower_bounds`.
    """
    chain = read_chain(model, (x.shape[1], x.shape[2], x.shape[3]))
    with torch.no_grad():
        bounds = LinearBounds(chain, ball(x.double(), epsilon, "inf"))
    known = zip(chain.layers, bounds.lower, bounds.upper)
    return [(lower, upper) for layer, lower, upper in known if layer == Activation("relu")]


def _widest(chain: Chain) -> int:
    return max(coefficients(chain, depth) for depth in range(len(chain.layers) + 1))


def ball(x: Tensor, epsilon: float, norm: Norm) -> Ball:
    """The images within ε of x, and those that float32 makes of them. x: [N, C, H, W], float64."""
    radius = epsilon + PIXEL * (1 if norm == "inf" else x[0].numel() ** 0.5)
    lower, upper = (x - radius).clamp(min=0), (x + radius).clamp(max=1)
    return Ball(x, lower, upper, None if norm == "inf" else radius)


def _by_rows(chain: Chain, points: Ball, y: Tensor) -> Tensor:
    bounds = LinearBounds(chain, points)
    by_rows = bounds.least(_margins(bounds.lower[-1], y))[:, 0]
    return torch.maximum(by_rows, _last_step(chain, bounds.lower[-2], bounds.upper[-2], y))


def _by_intervals(chain: Chain, points: Ball, y: Tensor) -> Tensor:
    lower, upper = points.lower, points.upper
    for layer in chain.layers[:-1]:
        lower, upper = through(layer, lower, upper)
    return _last_step(chain, lower, upper, y)


def _last_step(chain: Chain, lower: Tensor, upper: Tensor, y: Tensor) -> Tensor:
    """The margins over a box of the last layer's inputs: no looser than by intervals of logits."""
    last = Chain(chain.layers[-1:], chain.shapes[-2:])
    bounds = LinearBounds(last, Ball((lower + upper) / 2, lower, upper))
    return bounds.least(_margins(bounds.lower[-1], y))[:, 0]


def _margins(logits: Tensor, y: Tensor) -> Rows:
    """z_y − z_j for each class j; of j = y 0."""
    units = torch.eye(logits.shape[1], dtype=logits.dtype, device=logits.device)
    return Rows((units[y][:, None] - units)[:, None])
