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
# What an image of a chart is drawn in, too: the page's own font is not there, and names measured
# in it would be cut.
FONT = "system-ui, sans-serif"
LEGEND_ROW = 20  # pixels
LEGEND_WIDTH = 280  # of a small screen's
ENTRY, LETTER = 45, 7  # a legend's mark with its padding, and a letter of a wide font
TITLE_LINE = 20


def figure(title: str, x: str, y: str, height: int = 360) -> go.Figure:
    """An empty chart with its axes named. Title and legend have room of their own, above and below
    the axes, however many lines they take.
    """
    found = go.Figure()
    text = lines(title)
    further = TITLE_LINE * text.count("<br>")  # lines, which Plotly hangs below the first
    heading = {"text": text, "x": 0, "xref": "container", "font": {"size": 15, "family": FONT}}
    found.update_layout(
        title=heading | {"y": 1, "yref": "paper", "yanchor": "bottom", "pad": {"b": 10 + further}},
        font={"family": FONT},
        hoverlabel={"font": {"family": FONT}},
        height=height,
        margin={"l": 10, "r": 10, "t": 16 + TITLE_LINE + further, "b": 10},
        hovermode="closest",
        showlegend=True,  # also of one method
        legend={"orientation": "h", "tracegroupgap": 0, "x": 0, "xref": "container"}
        | {"y": 0, "yref": "container", "yanchor": "bottom"},
    )
    for text, update in ((x, found.update_xaxes), (y, found.update_yaxes)):
        heading = {"text": lines(text), "font": {"size": 13}}
        update(title=heading, automargin=True, gridcolor=GRID, zeroline=False)
    return found


def with_room(found: go.Figure) -> go.Figure:
    """The chart, higher by what its legend takes on a small screen: the axes keep their height, and
    the legend shows all its names at once.
    """
    traces: list[Any] = list(found.select_traces())
    named = {str(trace.name) for trace in traces if trace.showlegend is not False}
    # Names stand in columns as wide as the longest.
    longest = max(map(len, named), default=0)
    columns = max(1, LEGEND_WIDTH // (ENTRY + LETTER * longest))
    taken = LEGEND_ROW * -(-len(named) // columns)
    found.update_layout(
        height=found.layout.height + taken, legend={"maxheight": taken + LEGEND_ROW}
    )
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
