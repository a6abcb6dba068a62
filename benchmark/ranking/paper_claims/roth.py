"""Roth et al.: adversarial training is a data-dependent operator norm."""

from __future__ import annotations

from ..verdict import Question
from .rows import Asked, Claim, Interval, Rows

TRAINED = "adversarial_training:norm=2", 1.0
NEAR, FAR = "data_dependent_operator_norm", "global_spectral_norm"


def _nearest(rows: Rows, method: str) -> float:
    """The λ whose clean validation accuracy is nearest to that of adversarial training."""
    target = rows.clean(*TRAINED, "validation").mean()
    return min(
        rows.strengths(method),
        key=lambda strength: abs(rows.clean(method, strength, "validation").mean() - target),
    )


def operator_norm_like_adversarial_training(rows: Rows) -> Asked:
    """By three measures the operator norm lies nearer to it than the global spectral norm does."""
    chosen = {name: _nearest(rows, name) for name in (NEAR, FAR)}
    measures = {
        "robust accuracy": (rows.track.headline, rows.track.headline_metric),
        "alignment with v₁": ("perturbed", "alignment_1"),
        "relative deviation from linearity": ("perturbed", "relative_deviation_1"),
    }
    questions, texts = [], []
    for words, (threat, metric) in measures.items():
        base = rows.seeds(*TRAINED, threat, metric)
        near, far = (
            rows.seeds(name, strength, threat, metric) - base for name, strength in chosen.items()
        )
        questions.append(Question(far.abs() - near.abs()))
        texts.append(
            f"{words} less that of adversarial training ({base.mean():.3f}): operator norm "
            f"{Interval.of(near):.3f}, global spectral norm {Interval.of(far):.3f}"
        )
    where = ", ".join(f"{name} λ = {strength:g}" for name, strength in chosen.items())
    return questions, f"at the λ whose validation accuracy is nearest ({where}): " + "; ".join(
        texts
    )


CLAIMS = (
    Claim(
        "The data-dependent operator norm is like adversarial training, the global spectral norm "
        "is not (Roth et al.)",
        "roth-fashion",
        operator_norm_like_adversarial_training,
    ),
)
