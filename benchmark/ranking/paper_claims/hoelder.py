"""Cross-Hölder: more robust than Cross-Lipschitz; the gradient's direction is not enough."""

from __future__ import annotations

import pandas as pd

from ..standings import standings
from .rows import Claim, Interval, Rows


def _selected(table: pd.DataFrame, method: str) -> tuple[str, float]:
    row = table[table["regularizer"].str.partition(":")[0] == method].iloc[0]
    return row["regularizer"], row["lambda"]


def hoelder_over_lipschitz(rows: Rows) -> tuple[bool, str]:
    """Robust accuracy, each at its selected λ."""
    table = standings(rows.track, rows.trials, rows.store.scores(rows.keys))
    hoelder, lipschitz = (_selected(table, name) for name in ("cross_hoelder", "cross_lipschitz"))
    if pd.isna(hoelder[1]) or pd.isna(lipschitz[1]):
        return False, "no λ of one of the two reaches the clean floor"
    lead = Interval.of(100 * (rows.robust(*hoelder) - rows.robust(*lipschitz)))
    return lead.low > 0, (
        f"{rows.track.headline}, each at its selected λ ({hoelder[1]:g}, {lipschitz[1]:g}): "
        f"Cross-Hölder leads by {lead:.1f} points"
    )


def gradient_underestimates(rows: Rows) -> tuple[bool, str]:
    """Curvature along the gradient is well below ‖H‖."""
    share = Interval.of(rows.seeds("none", 0.0, "margin_curvature", "along_share"))
    return share.high < 0.9, f"mean ‖H·g/‖g‖‖ / ‖H‖ without a regularizer: {share:.2f}"


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
