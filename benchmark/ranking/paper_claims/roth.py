"""Roth et al.: adversarial training is a data-dependent operator norm."""

from __future__ import annotations

import pandas as pd

from ..matched import Between
from ..verdict import Question
from .rows import Asked, Claim, Interval, Rows

TRAINED = "adversarial_training:norm=2", 1.0
NEAR, FAR = "data_dependent_operator_norm", "global_spectral_norm"
MEASURES = {
    "robust accuracy": None,  # under the track's headline
    "alignment with v₁": ("perturbed", "alignment_1"),
    "relative deviation from linearity": ("perturbed", "relative_deviation_1"),
}


def operator_norm_like_adversarial_training(rows: Rows) -> Asked:
    """By three measures the operator norm lies nearer to it than the global spectral norm does,
    both where their clean validation accuracy is that of adversarial training.
    """
    target = rows.clean(*TRAINED, "validation").mean()
    means = {
        name: [rows.clean(name, strength, "validation").mean() for strength in rows.strengths(name)]
        for name in (NEAR, FAR)
    }
    places = {name: Between.where(rows.strengths(name), means[name], target) for name in means}
    near_place, far_place = places[NEAR], places[FAR]
    if near_place is None or far_place is None:
        ends = "; ".join(
            f"{name} from {max(means[name]):.3f} down to {min(means[name]):.3f}"
            for name, place in places.items()
            if place is None
        )
        return [], (
            f"its clean validation accuracy, {target:.3f}, is that of no λ between the ends of "
            f"the grids of both ({ends}), so that they cannot be compared at equal cost"
        )
    questions, texts = [], []
    for words, score in MEASURES.items():
        threat, metric = score or (rows.track.headline, rows.track.headline_metric)
        base = rows.seeds(*TRAINED, threat, metric)
        near = _at(near_place, rows, NEAR, threat, metric) - base
        far = _at(far_place, rows, FAR, threat, metric) - base
        questions.append(Question(far.abs() - near.abs()))
        texts.append(
            f"{words} less that of adversarial training ({base.mean():.3f}): operator norm "
            f"{Interval.of(near):.3f}, global spectral norm {Interval.of(far):.3f}"
        )
    return questions, (
        f"where clean validation accuracy is that of adversarial training, {target:.3f} "
        f"({NEAR} {near_place}, {FAR} {far_place}): " + "; ".join(texts)
    )


def _at(place: Between, rows: Rows, method: str, threat: str, metric: str) -> pd.Series:
    """seed → a score of a method between two of its λ."""
    low, high = (
        rows.seeds(method, strength, threat, metric) for strength in (place.low, place.high)
    )
    return place.value(low, high)


CLAIMS = (
    Claim(
        "The data-dependent operator norm is like adversarial training, the global spectral norm "
        "is not (Roth et al.)",
        "roth-fashion",
        operator_norm_like_adversarial_training,
    ),
)
