"""Robust against clean accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from benchmark.ranking.front import undominated

from ..words.labels import hover, percent
from ..words.style import CONTROL, Style, ordered
from .canvas import SHARE, figure, log_ticks, origins


def pareto(
    standings: pd.DataFrame, column: str, styles: Mapping[str, Style], title: str, y: str
) -> go.Figure:
    """Each method at its selected λ: clean accuracy against a score, in percent; the area grows
    with training cost. A flagged method is an outline and not on the front.

    Args:
        standings: as `benchmark.ranking.board.board` gives them, of one architecture.
        column: of the score.
    """
    found = figure(title, "Clean accuracy (%)", y, height=430)
    rows = standings[standings["clean"].notna() & standings[column].notna()]
    edge = rows[rows["flags"] == ""].sort_values("clean")
    edge = edge[undominated(edge["clean"], edge[column])]
    if len(edge) > 1:
        found.add_scatter(
            x=100 * edge["clean"],
            y=100 * edge[column],
            mode="lines",
            name="not dominated",
            line={"color": CONTROL, "dash": "dot", "width": 1},
            hoverinfo="skip",
        )
    for method in ordered(rows["regularizer"]):
        style, row = styles[method], rows[rows["regularizer"] == method].iloc[0]
        cost = row["cost"] if np.isfinite(row["cost"]) else 1.0
        size = float(np.clip(12 * np.sqrt(cost), 8, 44))
        ends = {
            name: (row[name], row[f"{name}_low"], row[f"{name}_high"]) for name in ("clean", column)
        }
        found.add_scatter(
            x=[100 * row["clean"]],
            y=[100 * row[column]],
            mode="markers",
            name=_name(method, row["flags"]),
            meta=[method],
            marker=_marker(style, row["flags"], size),
            error_x=_error(*ends["clean"], style),
            error_y=_error(*ends[column], style),
            hovertemplate=f"{hover(method)}, {style.strength(row['lambda'])}"
            f"<br>clean {percent(*ends['clean'])}<br>robust {percent(*ends[column])}"
            f"<br>cost × {_cost(row['cost'])}{_flags(row['flags'])}<extra></extra>",
        )
    found.update_layout(
        legend={"itemsizing": "constant"},
        xaxis={"autorangeoptions": SHARE},
        yaxis={"autorangeoptions": SHARE},
    )
    return found


def _error(value: float, low: float, high: float, style: Style) -> dict[str, Any]:
    """Bars to the ends of an interval; none where it has no ends."""
    return {
        "array": [100 * (high - value) if np.isfinite(high) else 0],
        "arrayminus": [100 * (value - low) if np.isfinite(low) else 0],
        "symmetric": False,
        "thickness": 1,
        "width": 3,
        "color": style.colour,
    }


def _name(method: str, flags: str) -> str:
    return f"{hover(method)} (flagged)" if flags else hover(method)


def _marker(style: Style, flags: str, size: float | np.ndarray) -> dict[str, Any]:
    """Filled, or the outline of what is flagged: faint, it would stand out from no page."""
    return {
        "symbol": style.outline if flags else style.symbol,
        "color": style.colour,
        "size": size,
        "opacity": 1.0,  # of marks of several sizes Plotly's own is less
        "line": {"width": 2, "color": style.colour},
    }


def _cost(cost: float) -> str:
    return f"{cost:.1f}" if np.isfinite(cost) else "unknown"


def _flags(flags: str) -> str:
    return f"<br>flagged: {hover(flags)}" if flags else ""


def trade_off(
    table: pd.DataFrame,
    front: pd.DataFrame,
    axis: str,
    styles: Mapping[str, Style],
    title: str,
    y: str,
) -> go.Figure:
    """Every strength of every method, those that the leaderboard selects large, and the front that
    no other beats: robustness against clean accuracy, or against cost on a log axis.

    Args:
        table, front: as `tables.find` gives them, without what is flagged.
        axis: "clean" or "cost".
    """
    scale = 100 if axis == "clean" else 1
    x = "Clean accuracy (%)" if axis == "clean" else "Training cost (times that of none)"
    found = figure(title, x, y, height=430)
    if len(front) > 1:
        found.add_scatter(
            x=scale * front[axis],
            y=100 * front["robust"],
            mode="lines",
            name="not dominated",
            line={"color": CONTROL, "dash": "dot", "width": 1.5},
            hoverinfo="skip",
        )
    for method in ordered(table["method"]):
        style, rows = styles[method], table[table["method"] == method].sort_values("lambda")
        strengths = [style.strength(value) for value in rows["lambda"]]
        costs = [_cost(cost) for cost in rows["cost"]]
        found.add_scatter(
            x=scale * rows[axis],
            y=100 * rows["robust"],
            mode="markers",
            name=hover(method),
            marker=_marker(style, "", np.where(rows["selected"], 15, 8)),
            meta=origins(rows["method"], rows["lambda"]),
            customdata=np.column_stack([strengths, 100 * rows["clean"], costs]),
            hovertemplate=f"{hover(method)}, %{{customdata[0]}}<br>robust %{{y:.1f}} %<br>"
            "clean %{customdata[1]:.1f} %<br>cost × %{customdata[2]}<extra></extra>",
        )
    found.update_layout(legend={"itemsizing": "constant"})
    if axis == "cost":
        found.update_xaxes(type="log", **log_ticks(table["cost"]))
    return found
