"""The perturbation size of a second-order model of a binary classifier's loss (Guo et al.).

It certifies nothing: it always exceeds the true distance inside the ReLU cell. It is kept to check
the paper; the linearised distance is the measure to compare methods by.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .margins import loss, probability, probability_of_others


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


def nu_gamma(jacobian: Tensor, x: Tensor) -> Tensor:
    """`νγ = |(v_+ − v_−)ᵀx|` of a binary classifier (Guo et al., App. G).

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
