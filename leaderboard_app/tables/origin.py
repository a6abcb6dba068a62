"""Which trials a point of a chart rests on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmark.ranking.selection import selected_trials
from registry.spec import Trial

if TYPE_CHECKING:
    import plotly.graph_objects as go


def of_point(figure: go.Figure, curve: int, point: int) -> str:
    """The origin of a chart's point, as `figures.canvas` marks them; "" where it has none."""
    traces: list[Any] = list(figure.select_traces())
    marks = traces[curve].meta if curve < len(traces) else None
    return str(marks[point]) if marks and point < len(marks) else ""


def trials(
    origin: str, trials: Sequence[Trial], standings: pd.DataFrame, architecture: str
) -> list[Trial]:
    """The trials behind `jacobian/0.1` (all seeds of that strength), `jacobian` (each seed at the λ
    that the leaderboard scores it at), or a trial's key.

    Args:
        trials: of the track.
        standings: of the track.
    """
    mine = [trial for trial in trials if trial.entry.architecture == architecture]
    of_entry = [t for t in mine if t.key == origin or t.entry.id.endswith(f"/{origin}")]
    if of_entry:
        return of_entry
    of_method = standings[
        (standings["architecture"] == architecture) & (standings["regularizer"] == origin)
    ]
    return [trial for group in selected_trials(trials, of_method) for trial in group]
