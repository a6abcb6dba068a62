"""An empty chart: axes, legend, ticks; what every figure starts from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ..words.labels import lines

GRID = "rgba(128,128,128,0.25)"
# An interval of few seeds may reach beyond what a share can be: the axis does not.
SHARE = {"clipmin": -1, "clipmax": 101}
LEGEND_ROW = 20  # pixels; a small screen holds about two names a row
TITLE_LINE = 20


def figure(title: str, x: str, y: str, height: int = 360) -> go.Figure:
    """An empty chart with its axes named. Title and legend have room of their own, above and below
    the axes, however many lines they take.
    """
    found = go.Figure()
    text = lines(title)
    top = 16 + TITLE_LINE * (1 + text.count("<br>"))
    heading = {"text": text, "x": 0, "xref": "paper", "font": {"size": 15}}
    found.update_layout(
        title=heading | {"y": 1, "yref": "paper", "yanchor": "bottom", "pad": {"b": 10}},
        height=height,
        margin={"l": 10, "r": 10, "t": top, "b": 10},
        hovermode="closest",
        showlegend=True,  # also of one method
        legend={"orientation": "h", "yref": "container", "yanchor": "bottom", "y": 0, "x": 0},
    )
    found.update_xaxes(title={"text": lines(x)}, automargin=True, gridcolor=GRID, zeroline=False)
    found.update_yaxes(title={"text": lines(y)}, automargin=True, gridcolor=GRID, zeroline=False)
    return found


def with_room(found: go.Figure) -> go.Figure:
    """The chart, higher by what its legend takes on a small screen: the axes keep their height."""
    traces: list[Any] = list(found.select_traces())
    named = {trace.name for trace in traces if trace.showlegend is not False}
    found.update_layout(height=found.layout.height + LEGEND_ROW * ((len(named) + 1) // 2))
    return found


def origins(methods: Iterable[str], strengths: Iterable[float]) -> list[str]:
    """What the points of a trace rest on, for its `meta`: `jacobian/0.1`, the end of an entry's
    id. A method's name alone stands for the models that the leaderboard scores.
    """
    return [f"{method}/{strength:.12g}" for method, strength in zip(methods, strengths)]


def log_ticks(values: pd.Series) -> dict[str, Any]:
    """Powers of ten, or on a short axis 1, 2 and 5 of each: Plotly's own choice between them is
    hard to read.
    """
    positive = values[values > 0]
    if positive.empty:
        return {}
    low, high = np.floor(np.log10(positive.min())), np.ceil(np.log10(positive.max()))
    powers = 10.0 ** np.arange(low, high + 1)
    ticks = powers if high - low > 2 else np.outer(powers, (1, 2, 5)).ravel()
    return {"tickvals": ticks.tolist(), "ticktext": [f"{tick:g}" for tick in ticks], "tickangle": 0}
