"""Margins, probabilities and losses from logits, precise where p_y rounds to 1."""

from __future__ import annotations

import torch
from torch import Tensor


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """`z_y − max_{j≠y} z_j` (Wen et al., §3): positive where classified correctly.

    Args:
        logits: [B, K].
        y: [B] class indices.
    Returns:
        [B], in logits.
    """
    return _of_label(logits, y) - _without_label(logits, y).amax(1)


def log_odds(logits: Tensor, y: Tensor) -> Tensor:
    """`log(p_y / (1 − p_y)) = z_y − log Σ_{j≠y} exp z_j`: the margin, when K = 2. logits [B, K], y
    [B] → [B], nats.
    """
    return _of_label(logits, y) - _without_label(logits, y).logsumexp(1)


def probability(logits: Tensor, y: Tensor) -> Tensor:
    """`p_y`, the softmax probability of the label. logits [B, K], y [B] → [B]."""
    return log_odds(logits, y).sigmoid()


def probability_of_others(logits: Tensor, y: Tensor) -> Tensor:
    """`1 − p_y`, without the cancellation at p_y → 1. logits [B, K], y [B] → [B]."""
    return (-log_odds(logits, y)).sigmoid()


def probability_margin(logits: Tensor, y: Tensor) -> Tensor:
    """`p_y − max_{j≠y} p_j`, in [−1, 1]: a margin whose sign shrinking all logits does not change,
    nor, for two classes, the order of two images.

    Args:
        logits: [B, K].
        y: [B] class indices.
    Returns:
        [B].
    """
    p = logits.softmax(1)
    return _of_label(p, y) - _without_label(p, y).amax(1)


def loss(logits: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy `−log p_y`, precise where p_y rounds to 1. logits [B, K], y [B] → [B], nats."""
    odds = log_odds(logits, y)
    return torch.logaddexp(torch.zeros_like(odds), -odds)


def _of_label(scores: Tensor, y: Tensor) -> Tensor:
    return scores.gather(1, y[:, None])[:, 0]


def _without_label(scores: Tensor, y: Tensor) -> Tensor:
    return scores.scatter(1, y[:, None], -torch.inf)
