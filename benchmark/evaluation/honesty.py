"""The honesty checks that run the model: do its logits and gradients tell attacks the truth?"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..attacks import deepfool, misclassified, pgd, square
from ..attacks.frozen import frozen
from ..measures.distances import linearised_distance
from ..measures.jacobian import gram, linearise
from ..measures.linearity import shared_activations
from ..measures.margins import loss as precise_loss

EPSILON = 0.1  # ℓ∞, where the checks attack
STEPS = 10  # of PGD
QUERIES = 50  # of Square: where gradients are masked, a short search already beats PGD
# Float32 underflows at 1e-38: of a gradient of this size only a few terms are left.
VANISHED = 1e-30
NEAR, AFFINE, SHORTER = 0.01, 0.01, 0.95  # see `below_linearised_distance`


def check_model(model: nn.Module, x: Tensor, y: Tensor, *, seed: int) -> dict[str, float]:
    """Checks of `records.flags.CHECKS`: name → value. "randomised" is a relative difference; the
    others are shares of the examples, of those classified correctly for "vanishing_gradients",
    "loss_does_not_rise" and "below_linearised_distance".

    Where no example is, or logits are not finite, the attacks have nothing to work on and only the
    first two checks are given.

    Args:
        model: images [N,C,H,W] in [0,1] → logits [N,K].
        x: [N,C,H,W].
        y: [N] class indices.
        seed: of Square.
    """
    with torch.no_grad(), frozen(model) as net:
        logits, again = net(x), net(x)
    values = {
        "non_finite_logits": _share(~logits.isfinite().all(1)),
        "randomised": _difference(logits, again),
    }
    right = ~misclassified(logits, y)
    if values["non_finite_logits"] or not right.any():
        return values
    classes, n = logits.shape[1], len(y)
    before, x, y = precise_loss(logits[right].double(), y[right]), x[right], y[right]

    def broken(images: Tensor) -> float:
        with torch.no_grad(), frozen(model) as net:
            return float(misclassified(net(images), y).sum()) / n

    attacked = pgd(model, x, y, EPSILON, steps=STEPS, keep="last")
    with torch.no_grad(), frozen(model) as net:
        after = precise_loss(net(attacked).double(), y)
    values["vanishing_gradients"] = _share(_largest_slope(model, x, y) < VANISHED)
    values["loss_does_not_rise"] = _share(~(after > before))
    black = broken(square(model, x, y, EPSILON, seed=seed, queries=QUERIES))
    values["black_box_stronger"] = black - broken(attacked)
    left = len(y) / n - broken(pgd(model, x, y, 1.0, steps=STEPS))
    values["accurate_at_huge_epsilon"] = left - 1 / classes
    values["below_linearised_distance"] = _share(below_linearised_distance(model, x, y))
    return values


def _share(which: Tensor) -> float:
    return float(which.double().mean())


def _difference(one: Tensor, other: Tensor) -> float:
    """Largest ‖a − b‖/‖a‖ over the examples with finite logits; 0 where there is none."""
    usable = one.isfinite().all(1) & other.isfinite().all(1)
    one, other = one[usable].double(), other[usable].double()
    change = torch.linalg.vector_norm(one - other, dim=1)
    relative = change / torch.linalg.vector_norm(one, dim=1).where(change > 0, 1)
    return float(relative.max()) if len(relative) else 0.0


def _largest_slope(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """[N]: the largest entry of the cross-entropy's input gradient, as an attack in this precision
    gets it.
    """
    with frozen(model) as net:

        def loss(images: Tensor) -> Tensor:
            return nn.functional.cross_entropy(net(images), y, reduction="sum")

        return torch.func.grad(loss)(x).flatten(1).abs().amax(1)


def below_linearised_distance(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """[N] bool: an adversarial image lies nearer than the linearised distance though the model is
    affine up to it.

    There that distance is exact, so that one of the two lies: the gradients do. DeepFool's image is
    drawn back along its way to the boundary. Affine means: no ReLU switches between the two ends (a
    cell is convex) and the logits, at a hundredth of the way and half-way, lie on the chord within
    1 % of its rise; the latter sees max-pooling and smooth activations as well.

    Args:
        x: [N,C,H,W], classified as y.
        y: [N] class indices.
    """
    adversarial = deepfool(model, x, y, steps=3)
    step = adversarial - x
    along = (-1, *[1] * (x.dim() - 1))
    with torch.no_grad(), frozen(model) as net:

        def logits_at(t: Tensor) -> Tensor:
            return net(x + t.view(along) * step)

        low, high = x.new_zeros(len(x)), x.new_ones(len(x))
        found = misclassified(logits_at(high), y)
        for _ in range(10):
            middle = (low + high) / 2
            crossed = misclassified(logits_at(middle), y)
            low, high = low.where(crossed, middle), middle.where(crossed, high)
        start, end = logits_at(x.new_zeros(len(x))), logits_at(high)
        rise = torch.linalg.vector_norm(end - start, dim=1)
        straight = found
        for t in (NEAR, 0.5):
            bend = logits_at(t * high) - start - t * (end - start)
            straight = straight & (torch.linalg.vector_norm(bend, dim=1) <= t * AFFINE * rise)
        way = high.view(along) * step
        try:
            same_cell = shared_activations(model, x, way) == 1
        except ValueError:  # no ReLU at all: nothing can switch
            same_cell = torch.ones_like(found)
        outputs, jacobian = linearise(model, x)
        bound = linearised_distance(outputs.double(), y, gram(jacobian))
    return straight & same_cell & (way.flatten(1).norm(dim=1) < SHORTER * bound)
