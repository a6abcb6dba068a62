"""The linearised distance to the decision boundary: the primary measure of robustness, exact inside
the ReLU cell.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .jacobian import pair_distances


def linearised_distance(logits: Tensor, y: Tensor, gram: Tensor) -> Tensor:
    """ℓ2 distance to the nearest decision boundary of the model linearised at each input.

    `min_{j≠y} (z_y − z_j) / ‖v_y − v_j‖₂`. Exact while the nearest boundary lies in the input's
    ReLU cell; negative where the input is misclassified.

    Args:
        logits: [B, K].
        y: [B] class indices.
        gram: [B, K, K], inner products of the logits' input gradients.
    Returns:
        [B], in input units; inf (−inf where misclassified) where a logit gap does not move at all.
    """
    distances = pair_distances(gram)
    of_label = distances.gather(1, y[:, None, None].expand(-1, 1, distances.shape[2]))[:, 0]
    return _smallest_ratio(logits, y, of_label)


def linearised_distance_inf(logits: Tensor, y: Tensor, jacobian: Tensor) -> Tensor:
    """ℓ∞ distance to the nearest boundary of the linearised model: `min_{j≠y} (z_y − z_j) / ‖v_y −
    v_j‖₁`.

    Args:
        logits: [B, K].
        y: [B] class indices.
        jacobian: [B, K, n].
    Returns:
        [B], in input units; sign and infinities as for ℓ2.
    """
    return _smallest_ratio(logits, y, label_distances_1(jacobian, y))


def label_distances_1(jacobian: Tensor, y: Tensor) -> Tensor:
    """`‖v_y − v_j‖₁` of every class j. jacobian [B, K, n], y [B] → [B, K], logits per input unit; 0
    at y.
    """
    of_label = jacobian.gather(1, y[:, None, None].expand(-1, 1, jacobian.shape[2]))
    return (jacobian - of_label).abs_().sum(2)


def _smallest_ratio(logits: Tensor, y: Tensor, speeds: Tensor) -> Tensor:
    gaps = logits.gather(1, y[:, None]) - logits
    # A tie is at distance 0, even one that does not move.
    ratios = torch.where(gaps == 0, 0, gaps / speeds)
    return ratios.scatter(1, y[:, None], torch.inf).amin(1)
