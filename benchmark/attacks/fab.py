"""The fast adaptive boundary attack, targeted: projections onto linearised decision boundaries."""

from __future__ import annotations

import torch
from torch import Tensor

from registry.spec import Norm

from .frozen import Model, frozen
from .objective import input_gradient, misclassified
from .perturbation import Bounds, per_example, size

# As AutoAttack sets them: the largest share of the step that is taken from the image, how far a
# step goes beyond the boundary, and how much of the way back an adversarial iterate keeps.
FROM_IMAGE, OVERSHOOT, KEPT = 0.1, 1.05, 0.9
SMALLEST = 1e-8  # of a step's length, where shares of lengths are taken
# Examples times targets at once: on a CPU as many as its cache holds.
ROWS, ROWS_ON_CPU = 16_384, 1200
SEARCHES, NEAR_ENOUGH = 32, 1e-6  # of `to_plane`: iterations, and the relative error that ends them


def fab(
    model: Model,
    x: Tensor,
    y: Tensor,
    epsilon: float,
    norm: Norm = "inf",
    *,
    targets: int,
    steps: int = 100,
    bounds: Bounds = (0.0, 1.0),
) -> Tensor:
    """Towards each of the `targets` classes with the largest logits beside y, all at once: each
    step goes to where the model, linearised at the iterate, leaves y for that class, in part from
    the iterate and in part from the image (Croce & Hein 2020, algorithm 1, without restarts).

    Nothing is drawn. An example ends with its first adversarial iterate within epsilon.

    Args:
        model: images [N,C,H,W] → logits [N,K].
        x: [N,C,H,W] within bounds.
        y: [N] class indices, those that the model gives.
        targets: below K.
    Returns:
        [N,C,H,W], without gradient: misclassified and within epsilon of x, or x itself.
    """
    rows = ROWS_ON_CPU if x.device.type == "cpu" else ROWS
    at_once = max(1, rows // targets)
    with torch.no_grad(), frozen(model) as net:
        batches = zip(x.split(at_once), y.split(at_once))
        found = [_search(net, *batch, epsilon, norm, targets, steps, bounds) for batch in batches]
    return torch.cat(found) if found else x.clone()


def _search(
    net: Model,
    x: Tensor,
    y: Tensor,
    epsilon: float,
    norm: Norm,
    targets: int,
    steps: int,
    bounds: Bounds,
) -> Tensor:
    """`fab` of so few examples that all their targets go in one batch: a row for each."""
    found = x.clone()
    others = net(x).scatter(1, y[:, None], -torch.inf)
    row = torch.arange(len(x), device=x.device).repeat_interleave(targets)
    pairs = torch.stack([y[row], others.topk(targets).indices.flatten()], 1)
    current = x[row]
    for _ in range(steps):
        if not len(row):
            break
        start = x[row]
        current = _step(net, current, start, pairs, norm, bounds)
        wrong = misclassified(net(current), y[row])
        hit = wrong & (size(current - start, norm) <= epsilon)
        # Of an example that falls toward several classes at once the first: where a row is written
        # twice, pixels of either may stand.
        hits = hit.nonzero()[:, 0]
        counts = row[hits].unique_consecutive(return_counts=True)[1]
        first = hits[counts.cumsum(0) - counts]
        found[row[first]] = current[first]
        current[wrong] = start[wrong] + KEPT * (current[wrong] - start[wrong])
        if hit.any():
            left = ~torch.isin(row, row[hit])
            row, pairs, current = row[left], pairs[left], current[left]
    return found


def _step(
    net: Model, current: Tensor, start: Tensor, pairs: Tensor, norm: Norm, bounds: Bounds
) -> Tensor:
    gradient, lead, _ = input_gradient(net, current, pairs, "target")
    slope = gradient.flatten(1)
    at_start = lead + _dot(slope, (start - current).flatten(1))
    onward = to_plane(current.flatten(1), slope, -lead, norm, bounds).view_as(start)
    anew = to_plane(start.flatten(1), slope, -at_start, norm, bounds).view_as(start)
    lengths = [size(way, norm).clamp(min=SMALLEST) for way in (onward, anew)]
    share = (lengths[0] / (lengths[0] + lengths[1])).clamp(max=FROM_IMAGE)
    share = per_example(share, start)
    there = (current + OVERSHOOT * onward) * (1 - share) + (start + OVERSHOOT * anew) * share
    return there.clamp(*bounds)


def to_plane(point: Tensor, slope: Tensor, rise: Tensor, norm: Norm, bounds: Bounds) -> Tensor:
    """The shortest way δ with slope·δ = rise that stays in the box; all the way that the box leaves
    where that is too short.

    Of length t it is min(t·v, room) in each coordinate, v = 1 in ℓ∞ and |slope| in ℓ2, and rises
    with t by a concave function of straight pieces: Newton's method, from t = 0, is never beyond
    the root and there after few steps. (AutoAttack's package sorts the coordinates instead.)

    Args:
        point, slope: [N,D]. rise: [N].
    Returns:
        [N,D].
    """
    toward = slope * rise.sign()[:, None]
    room = torch.where(toward > 0, bounds[1] - point, point - bounds[0])
    weight = toward.abs()
    pace, gain = (1.0, weight) if norm == "inf" else (weight, weight.square())
    wanted, length = rise.abs(), torch.zeros_like(rise)
    endless = torch.finfo(point.dtype).max ** 0.5
    for _ in range(SEARCHES):
        free = length[:, None] * pace
        missing = wanted - _dot(weight, torch.minimum(free, room))
        short = missing > NEAR_ENOUGH * wanted
        if not short.any():
            break
        rate = _dot(gain, (free < room).to(gain))
        longer = (length + missing.clamp(min=0) / rate).nan_to_num(endless, posinf=endless)
        # Only those that are short: what a row finds does not depend on the others.
        length = longer.clamp(max=endless).where(short, length)
    return toward.sign() * torch.minimum(length[:, None] * pace, room)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """[N,D], [N,D] → [N]."""
    return (a * b).sum(1)
