"""The smallest margin over an ℓ∞ ball, exactly: ReLU networks as mixed-integer linear programmes
(Tjeng et al. 2019).

Exact up to the solver's tolerance, 1e-6 of a constraint, for the network in exact arithmetic.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array, csr_array, diags_array, eye_array, hstack, vstack
from torch import Tensor, nn

from .layer_chain import Activation, Affine, Chain, Flatten, NoCertificateError, read_chain

Matrix = Any  # a NumPy or SciPy array of floats


@dataclass(frozen=True)
class Minimum:
    """What is known of min_{j≠y} z_y − z_j over a ball: equal ends where the search was finished.

    Attributes:
        at_least: proven.
        at_most: reached at some image of the ball.
    """

    at_least: float
    at_most: float

    @property
    def verdict(self) -> Literal["robust", "broken", "not decided"]:
        if self.at_least > 0:
            return "robust"
        return "broken" if self.at_most <= 0 else "not decided"


def smallest_margin(
    model: nn.Module,
    x: Tensor,
    y: int,
    epsilon: float,
    *,
    seconds: float = 60.0,
    known: Sequence[tuple[Tensor, Tensor]] = (),
) -> Minimum:
    """The smallest margin over the ball of radius ε around one image, clipped to [0, 1].

    One programme for each other class; a ReLU whose sign is not known has a binary variable.

    Args:
        model: images [N, C, H, W] → logits [N, K], in evaluation mode; affine layers and ReLU.
        x: [C, H, W] in [0, 1].
        y: class index.
        epsilon: in input units.
        seconds: for all programmes together; each has its share of what is left.
        known: bounds [1, ...] of each ReLU's inputs, as `LinearBounds` has them, which spare binary
            variables. Without them the answer rests on intervals of its own, in NumPy, and on
            nothing that the certificates use.
    Raises:
        NoCertificateError: the network has other layers.
    """
    chain = read_chain(model, (x.shape[0], x.shape[1], x.shape[2]))
    lower = (x.double() - epsilon).clamp(min=0).flatten().cpu().numpy()
    upper = (x.double() + epsilon).clamp(max=1).flatten().cpu().numpy()
    flat = [(low.flatten().cpu().numpy(), high.flatten().cpu().numpy()) for low, high in known]
    programme = _programme(_matrices(chain), lower, upper, flat)
    others = [j for j in range(chain.shapes[-1][0]) if j != y]
    end = time.monotonic() + seconds
    at_least, at_most = np.inf, np.inf
    for left, j in zip(range(len(others), 0, -1), others, strict=True):
        found = programme.minimise(y, j, max(0.1, (end - time.monotonic()) / left))
        at_least, at_most = min(at_least, found.at_least), min(at_most, found.at_most)
    return Minimum(at_least, at_most)


@dataclass(frozen=True)
class _Programme:
    """Variables: the pixels, and after each ReLU layer its outputs and its binary switches."""

    bounds: Bounds
    whole: Matrix  # [variables] 1 where a variable is an integer
    constraints: list[LinearConstraint]
    logits: Matrix  # [K, variables]
    bias: Matrix  # [K]

    def minimise(self, y: int, j: int, seconds: float) -> Minimum:
        cost = np.asarray((self.logits[[y]] - self.logits[[j]]).todense()).ravel()
        shift = self.bias[y] - self.bias[j]
        answer = milp(
            cost,
            integrality=self.whole,
            bounds=self.bounds,
            constraints=self.constraints,
            options={"time_limit": seconds, "mip_rel_gap": 0.0},
        )
        proven = getattr(answer, "mip_dual_bound", None)
        reached = answer.fun
        proven = reached if proven is None and answer.status == 0 else proven
        return Minimum(
            -np.inf if proven is None else float(proven + shift),
            np.inf if reached is None else float(reached + shift),
        )


def _matrices(chain: Chain) -> list[tuple[Matrix, Matrix] | None]:
    """Each affine layer as a matrix [O, I] and a bias [O]; None for a ReLU."""
    layers: list[tuple[Matrix, Matrix] | None] = []
    for layer, shape in zip(chain.layers, chain.shapes):
        match layer:
            case Affine():
                inputs = torch.eye(shape.numel(), dtype=torch.float64).unflatten(1, shape)
                outputs = layer.linear(inputs, layer.weight.cpu())
                bias = layer.bias.cpu().expand(outputs.shape[1:]).flatten()
                layers.append((csr_array(outputs.flatten(1).T.numpy()), bias.numpy()))
            case Activation("relu"):
                layers.append(None)
            case Flatten():
                pass
            case _:
                raise NoCertificateError(f"no exact answer for {layer}")
    return layers


def _programme(
    layers: list[tuple[Matrix, Matrix] | None],
    lower: Matrix,
    upper: Matrix,
    known: list[tuple[Matrix, Matrix]],
) -> _Programme:
    """Carries each layer's numbers forwards as a matrix times the variables so far, plus a bias.

    A ReLU a of z within [l, u] is: a ≥ z, a ≤ z − l(1 − s), a ≤ u·s, 0 ≤ a ≤ u, with a switch s of
    0 or 1 that is fixed where z keeps its sign.
    """
    numbers, bias = eye_array(len(lower), format="csr"), np.zeros(len(lower))
    low, high, whole = lower, upper, np.zeros(len(lower))
    rows, least, most = [], [], []
    left = list(known)
    for layer in layers:
        if layer is not None:
            weight, shift = layer
            numbers, bias = weight @ numbers, weight @ bias + shift
            middle, half = weight @ (lower + upper) / 2 + shift, abs(weight) @ (upper - lower) / 2
            lower, upper = middle - half, middle + half
            continue
        if left:
            tighter = left.pop(0)
            lower, upper = np.maximum(lower, tighter[0]), np.minimum(upper, tighter[1])
        n, before = len(lower), len(low)
        down, up = np.minimum(lower, 0), np.maximum(upper, 0)
        output, nothing, absent = eye_array(n), coo_array((n, n)), coo_array((n, before))
        rows += [
            hstack([-numbers, output, nothing]),
            hstack([-numbers, output, diags_array(-down)]),
            hstack([absent, output, diags_array(-up)]),
        ]
        least += [bias, np.full(2 * n, -np.inf)]
        most += [np.full(n, np.inf), bias - down, np.zeros(n)]
        low = _joined([low, np.zeros(n), lower > 0])
        high = _joined([high, up, upper > 0])
        whole = _joined([whole, np.zeros(n), np.ones(n)])
        numbers, bias = hstack([absent, output, nothing], format="csr"), np.zeros(n)
        lower, upper = np.maximum(lower, 0), up
    constraints = []
    if rows:
        wide = [hstack([row, coo_array((row.shape[0], len(low) - row.shape[1]))]) for row in rows]
        matrix = vstack(wide, format="csr")
        constraints = [LinearConstraint(matrix, _joined(least), _joined(most))]
    return _Programme(Bounds(low, high), whole, constraints, numbers, bias)


def _joined(parts: list[Matrix]) -> Matrix:
    return np.concatenate(parts)
