"""Cross-Hölder: more robust than Cross-Lipschitz; the gradient's direction is not enough."""

from __future__ import annotations

import pandas as pd

from ..standings import standings
from ..verdict import Question
from .rows import Asked, Claim, Interval, Rows


def _selected(table: pd.DataFrame, method: str) -> pd.Series:
    return table[table["regularizer"].str.partition(":")[0] == method].iloc[0]


def hoelder_over_lipschitz(rows: Rows) -> Asked:
    """Robust accuracy, each at its selected λ."""
    table = standings(rows.track, rows.trials, rows.store.scores(rows.keys))
    hoelder, lipschitz = (_selected(table, name) for name in ("cross_hoelder", "cross_lipschitz"))
    if pd.isna(hoelder["lambda"]) or pd.isna(lipschitz["lambda"]):
        return [], "no λ of one of the two reaches the clean floor"
    first, second = (rows.robust(row["regularizer"], row["lambda"]) for row in (hoelder, lipschitz))
    text = (
        f"{rows.track.headline}, each at its selected λ ({hoelder['lambda']:g}, "
        f"{lipschitz['lambda']:g}): Cross-Hölder leads by "
        f"{Interval.of(100 * (first - second)):.1f} points"
    )
    ends = [row["regularizer"] for row in (hoelder, lipschitz) if row["at_end"]]
    if ends:
        return [], f"{text}, but the λ of {' and '.join(ends)} ends its grid, which is no selection"
    return [Question(first - second)], text


def gradient_underestimates(rows: Rows) -> Asked:
    """Curvature along the gradient is well below ‖H‖."""
    share = rows.seeds("none", 0.0, "margin_curvature", "along_share")
    told = f"mean ‖H·g/‖g‖‖ / ‖H‖ without a regularizer: {Interval.of(share):.2f}"
    return [Question(0.9 - share)], told


CLAIMS = (
    Claim(
        "Cross-Hölder is more robust than Cross-Lipschitz (Cross-Hölder)",
        "cross-hoelder-fashion",
        hoelder_over_lipschitz,
    ),
    Claim(
        "Curvature along the gradient under-estimates ‖H‖ (Cross-Hölder)",
        "cross-hoelder-fashion",
        gradient_underestimates,
    ),
)
