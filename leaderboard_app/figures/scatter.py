"""Points: one a model or one an image."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ..words.labels import hover
from ..words.style import CONTROL, Style, ordered
from .canvas import figure, log_ticks


def lipschitz_against_cross(
    points: pd.DataFrame, classes: int, styles: Mapping[str, Style], title: str
) -> go.Figure:
    """µ² against Ω, one point a row, on log axes, with the line Ω = (2/K)·µ² that no point can lie
    above.

    Args:
        points: columns key, method, squared (µ²), cross (Ω), about.
    """
    found = figure(
        title,
        "µ² = ‖V‖² (squared Frobenius norm of the logits' Jacobian)",
        "Ω (mean over class pairs)",
        height=430,
    )
    rows = points[(points["squared"] > 0) & (points["cross"] > 0)]
    if len(rows):
        ends = np.array([rows["squared"].min() / 1.5, rows["squared"].max() * 1.5])
        found.add_scatter(
            x=ends,
            y=2 / classes * ends,
            mode="lines",
            name="Ω = (2/K)·µ²",
            line={"color": CONTROL, "width": 1.5},
            hoverinfo="skip",
        )
    for method in ordered(rows["method"]):
        style, mine = styles[method], rows[rows["method"] == method]
        found.add_scatter(
            x=mine["squared"],
            y=mine["cross"],
            mode="markers",
            name=hover(method),
            marker={"symbol": style.symbol, "color": style.colour, "size": 7},
            meta=mine["key"].tolist(),
            customdata=mine["about"],
            hovertemplate=f"{hover(method)}, %{{customdata}}<br>"
            "µ² = %{x:.3g}<br>Ω = %{y:.3g}<extra></extra>",
        )
    found.update_xaxes(type="log", **log_ticks(rows["squared"]))
    found.update_yaxes(type="log", **log_ticks(rows["cross"]))
    return found


def against(
    table: pd.DataFrame, x: str, y: str, title: str, x_title: str, y_title: str, colour: str
) -> go.Figure:
    """One point an image, with the line y = x."""
    found = figure(title, x_title, y_title, height=430)
    mine = table[np.isfinite(table[[x, y]].astype(float)).all(axis=1)]
    found.add_scatter(
        x=mine[x],
        y=mine[y],
        mode="markers",
        name="test images",
        customdata=mine["image"],
        marker={"symbol": "circle-open", "color": colour, "size": 5},
        hovertemplate="image %{customdata}<br>%{x:.3g}, %{y:.3g}<extra></extra>",
    )
    if len(mine):
        ends = [min(0.0, float(mine[[x, y]].min().min())), float(mine[[x, y]].max().max())]
        found.add_scatter(
            x=ends,
            y=ends,
            mode="lines",
            name="equal",
            line={"color": CONTROL, "dash": "dot"},
            hoverinfo="skip",
        )
    return found
