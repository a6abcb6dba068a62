"""Perturbation sizes of second-order models of the loss and of the margin.

None but the radius under a ball-wide curvature bound certifies anything: for two classes the
quadratic model's distance always exceeds the true distance inside the ReLU cell, and for more its
lower bounds often do. They are kept to check the papers; the linearised distance is the measure to
compare methods by.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .margins import loss, probability, probability_of_others

# Penalising ‖∇‖² (‖H‖₂) shrinks ν where νγ is at most this (Guo et al., App. G): the roots of 1 =
# (t − 1)eᵗ and of 2 + t = (t − 2)eᵗ.
NU_GAMMA_GRADIENT = 1.278
NU_GAMMA_HESSIAN = 2.399


def quadratic_distance(logits: Tensor, y: Tensor, speed: Tensor) -> Tensor:
    """Smallest perturbation at which the second-order Taylor model of a binary classifier's loss
    reaches log 2.

    `(1/(p_y s))·(√(1 + 2p_y ξ/(1−p_y)) − 1)`, `ξ = log 2 + log p_y`: exact for the model (Guo et
    al., Prop. 3.1 and 3.2), no guarantee for the net: the true distance inside the cell,
    `log(p_y/(1−p_y))/s`, is smaller.

    Args:
        logits: [B, 2].
        y: [B] class indices.
        speed: [B], `s = ‖v_+ − v_−‖₂` for the ℓ2 distance, `‖v_+ − v_−‖₁` for ℓ∞.
    Returns:
        [B], in input units; 0 where misclassified.
    Raises:
        ValueError: where there are more than two classes.
    """
    _require_binary(logits)
    p, q = probability(logits, y), probability_of_others(logits, y)
    return _first_crossing(_rise_to_uniform(logits, y), q * speed, p * q * speed.square())


def quadratic_worst_loss(
    logits: Tensor, y: Tensor, speed: Tensor, epsilon: float | Tensor
) -> Tensor:
    """Largest value of the second-order model of a binary classifier's loss in an ℓ∞ ball.

    `L + ε(1−p_y)s + ½ε²p_y(1−p_y)s²`, an equality (Guo et al., Prop. 3.3; both norms of eq. 25 are
    ‖·‖₁, the second squared).

    Args:
        logits: [B, 2].
        y: [B] class indices.
        speed: [B], `s = ‖v_+ − v_−‖₁`.
        epsilon: radius in input units.
    Returns:
        [B], in nats.
    Raises:
        ValueError: where there are more than two classes.
    """
    _require_binary(logits)
    p, q = probability(logits, y), probability_of_others(logits, y)
    step = epsilon * speed
    return loss(logits, y) + q * step + p * q * step.square() / 2


def quadratic_distance_bound_lipschitz(logits: Tensor, y: Tensor, lipschitz: Tensor) -> Tensor:
    """Lower bound of the quadratic model's ℓ2 distance, any K: `(1/(p_y µ))·(√(1 + p_y ξ/(1−p_y)) −
    1)`.

    Guo et al., Prop. 4.1, eq. 17, with `ξ = log K + log p_y` (printed with a minus). Holds where y
    is the likeliest class.

    Args:
        logits: [B, K].
        y: [B] class indices.
        lipschitz: [B], µ.
    Returns:
        [B], in input units; 0 where p_y ≤ 1/K.
    """
    p, q = probability(logits, y), probability_of_others(logits, y)
    return _first_crossing(
        _rise_to_uniform(logits, y), 2 * q * lipschitz, 2 * p * q * lipschitz.square()
    )


def quadratic_distance_bound_cross_lipschitz(
    logits: Tensor, y: Tensor, lipschitz: Tensor, cross_lipschitz: Tensor
) -> Tensor:
    """Lower bound of the quadratic model's ℓ2 distance, any K: `(4µ/(K²p_yΩ))·(√(1 +
    K²p_yΩξ/(4(1−p_y)µ²)) − 1)`.

    Guo et al., Prop. 4.1, eq. 16, with `K²` for `K(K−1)`, since Ω is divided by K², and `ξ = log K
    + log p_y`. Holds where y is the likeliest class.

    Args:
        logits: [B, K].
        y: [B] class indices.
        lipschitz: [B], µ.
        cross_lipschitz: [B], Ω.
    Returns:
        [B], in input units; 0 where p_y ≤ 1/K.
    """
    p, q = probability(logits, y), probability_of_others(logits, y)
    curvature = logits.shape[1] ** 2 * p * q * cross_lipschitz / 2
    return _first_crossing(_rise_to_uniform(logits, y), 2 * q * lipschitz, curvature)


def cross_hoelder_radius(
    logits: Tensor, y: Tensor, speeds: Tensor, curvature: Tensor | float
) -> Tensor:
    """ℓp radius without a misclassification: `min_j 2f/(s + √(s² + 2κf))`, `f = z_y − z_j`, `s =
    ‖∇f‖_q`.

    The cross-Hölder paper's Theorem 2 and Corollary 1 with a constant curvature bound. Certified
    only if κ bounds `‖∇²f‖_{p→q}` on the whole ball of the returned radius; with κ taken at the
    input alone it is a heuristic.

    Args:
        logits: [B, K].
        y: [B] class indices.
        speeds: [B, K], `‖v_y − v_j‖_q`, q dual to p.
        curvature: κ of each `z_y − z_j`: [B, K], or a number. 0 gives the linearised distance.
    Returns:
        [B], in input units; 0 where misclassified, inf where nothing moves.
    """
    gaps = logits.gather(1, y[:, None]) - logits
    radii = _first_crossing(
        gaps, speeds, torch.as_tensor(curvature, dtype=gaps.dtype, device=gaps.device)
    )
    return radii.scatter(1, y[:, None], torch.inf).amin(1)


def nu_gamma(jacobian: Tensor, x: Tensor) -> Tensor:
    """`νγ = |(v_+ − v_−)ᵀx|` of a binary classifier (Guo et al., App. G), to compare with the
    NU_GAMMA_ constants.

    Args:
        jacobian: [B, 2, n].
        x: [B, C, H, W], with C·H·W = n.
    Returns:
        [B], in logits.
    Raises:
        ValueError: where there are more than two classes.
    """
    _require_binary(jacobian)
    return ((jacobian[:, 0] - jacobian[:, 1]) * x.flatten(1)).sum(1).abs()


def _rise_to_uniform(logits: Tensor, y: Tensor) -> Tensor:
    """`ξ = log K + log p_y`: how far the loss is below that of a uniform prediction."""
    return math.log(logits.shape[1]) - loss(logits, y)


def _first_crossing(height: Tensor, slope: Tensor, curvature: Tensor) -> Tensor:
    """Smallest R ≥ 0 with `slope·R + ½·curvature·R² ≥ height`, in a form in which nothing cancels;
    all else ≥ 0.
    """
    reach = 2 * height / (slope + (slope.square() + 2 * curvature * height.clamp_min(0)).sqrt())
    return torch.where(height <= 0, 0, reach)


def _require_binary(scores: Tensor) -> None:
    if scores.shape[1] != 2:
        raise ValueError(f"defined for 2 classes, not {scores.shape[1]}")
