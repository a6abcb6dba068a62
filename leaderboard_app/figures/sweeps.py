"""Scores over λ, and over the clean accuracy that each λ has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ..words.labels import hover, radius
from ..words.style import CONTROL, Style, ordered
from .canvas import SHARE, figure, log_ticks, origins
from .distributions import Line


def against_lambda(
    curves: pd.DataFrame,
    styles: Mapping[str, Style],
    title: str,
    x: str,
    y: str,
    *,
    scale: float = 100,
) -> go.Figure:
    """One line a method over λ on a log axis, with its 95 % band over seeds, in percent (or times
    `scale`).

    λ = 0 has no place on a log axis: a method without any other λ (the control) is a horizontal
    line.

    Args:
        curves: as `tables.matched.curves` gives them, of one column.
    """
    found = figure(title, x, y)
    form, unit = (".1f", " %") if scale == 100 else (".3g", "")
    positive = curves[curves["matched"] > 0]
    for method in ordered(curves["method"]):
        style, rows = styles[method], positive[positive["method"] == method].sort_values("matched")
        if rows.empty:
            control = curves[curves["method"] == method].iloc[0]
            if len(positive):
                ends = [positive["matched"].min(), positive["matched"].max()]
                found.add_scatter(
                    x=ends,
                    y=[scale * control["mean"]] * 2,
                    mode="lines",
                    name=hover(method),
                    line={"color": style.colour, "dash": style.dash, "width": 2},
                    hovertemplate=f"{hover(method)}, λ = 0<br>%{{y:{form}}}{unit}<extra></extra>",
                )
            continue
        _band(found, rows, style, method, scale)
        found.add_scatter(
            x=rows["matched"],
            y=scale * rows["mean"],
            mode="lines+markers",
            name=hover(method),
            legendgroup=method,
            line={"color": style.colour, "dash": style.dash, "width": 2},
            marker={"symbol": style.symbol, "size": 8, "color": style.colour},
            meta=origins(rows["method"], rows["lambda"]),
            customdata=_details(rows, style, scale),
            hovertemplate=f"{hover(method)}<br>%{{customdata[0]}}<br>"
            f"%{{y:{form}}}%{{customdata[1]}}{unit}<br>%{{customdata[2]}} seeds<extra></extra>",
        )
    found.update_xaxes(type="log", **_strength_ticks(positive, styles))
    if scale == 100 and (curves["mean"] >= 0).all():
        found.update_yaxes(autorangeoptions=SHARE)
    return found


def _strength_ticks(curves: pd.DataFrame, styles: Mapping[str, Style]) -> dict[str, Any]:
    """At each strength where all are radii (4/255, 8/255); else as a log axis has it."""
    strengths = sorted(curves["matched"].unique())
    if {styles[method].sign for method in curves["method"]} != {"ε"}:
        return log_ticks(curves["matched"])
    return {"tickvals": strengths, "ticktext": [radius(value) for value in strengths]}


def _details(rows: pd.DataFrame, style: Style, scale: float = 100) -> np.ndarray:
    form = ".1f" if scale == 100 else ".2g"
    widths = [
        f" ± {scale * width:{form}}" if np.isfinite(width) else "" for width in rows["half_width"]
    ]
    return np.array(
        [[style.strength(value) for value in rows["lambda"]], widths, rows["seeds"].astype(str)],
        dtype=object,
    ).T


def _band(found: go.Figure, rows: pd.DataFrame, style: Style, method: str, scale: float) -> None:
    rows = rows[rows["half_width"].notna()]
    low, high = (
        scale * (rows["mean"] - rows["half_width"]),
        scale * (rows["mean"] + rows["half_width"]),
    )
    if len(rows):
        found.add_scatter(
            x=[*rows["matched"], *rows["matched"][::-1]],
            y=[*high, *low[::-1]],
            fill="toself",
            mode="lines",
            fillcolor=style.band,
            line={"width": 0},
            hoverinfo="skip",
            showlegend=False,
            legendgroup=method,
            name=f"{hover(method)} band",
        )


def against_clean(
    curves: pd.DataFrame, column: str, styles: Mapping[str, Style], title: str, y: str
) -> go.Figure:
    """Each method's λ as points joined in order of λ: clean accuracy against the column, both in
    percent.

    Args:
        curves: as `tables.matched.curves` gives them, of "clean" and `column` at least.
    """
    found = figure(title, "Clean accuracy (%)", y)
    clean = curves[curves["column"] == "clean"][["method", "lambda", "mean"]]
    both = curves[curves["column"] == column].merge(
        clean, on=["method", "lambda"], suffixes=("", "_clean")
    )
    for method in ordered(both["method"]):
        style, rows = styles[method], both[both["method"] == method].sort_values("lambda")
        found.add_scatter(
            x=100 * rows["mean_clean"],
            y=100 * rows["mean"],
            mode="lines+markers",
            name=hover(method),
            line={"color": style.colour, "dash": style.dash, "width": 1.5},
            marker={"symbol": style.symbol, "size": 9, "color": style.colour},
            error_y={"array": (100 * rows["half_width"]).fillna(0), "thickness": 1, "width": 2},
            meta=origins(rows["method"], rows["lambda"]),
            customdata=_details(rows, style),
            hovertemplate=f"{hover(method)}<br>%{{customdata[0]}}<br>clean %{{x:.1f}} %<br>"
            "%{y:.1f}%{customdata[1]} %<br>%{customdata[2]} seeds<extra></extra>",
        )
    found.update_yaxes(autorangeoptions=SHARE)
    return found


def with_reported(
    found: go.Figure, reported: pd.DataFrame, style: Style, scale: float
) -> go.Figure:
    """The chart over λ with what papers report of the method, as open stars.

    Args:
        reported: as `tables.margins.reported` gives it.
    """
    for paper, rows in reported[reported["lambda"] > 0].groupby("paper"):
        found.add_scatter(
            x=rows["lambda"],
            y=scale * rows["value"],
            mode="markers",
            name=f"{hover(str(paper))} reports",
            marker={"symbol": "star-open", "color": style.colour, "size": 12},
            error_y={
                "array": (scale * (rows["high"] - rows["value"])).fillna(0),
                "thickness": 1,
                "width": 2,
            },
            hovertemplate=f"{hover(str(paper))}<br>%{{y:.3g}}<extra></extra>",
        )
    return found


def loss_variation(
    table: pd.DataFrame, lines: Mapping[float, Line], reported: pd.DataFrame
) -> go.Figure:
    """One line a strength over the ball's radius, with 95 % intervals over seeds, and what papers
    report as open stars.

    Args:
        table: as `tables.margins.loss_variation` gives it.
        reported: as `tables.margins.reported_variation` gives it.
    """
    found = figure(
        "Maximal loss variation", "ℓ∞ radius (of 255)", "Largest change of the loss (nats)"
    )
    for strength, line in lines.items():
        mine = table[table["lambda"] == strength]
        radii = mine["radius"].astype(float)
        mine = mine.assign(radius=radii).sort_values("radius")
        found.add_scatter(
            x=mine["radius"],
            y=mine["mean"],
            mode="lines+markers",
            name=line.name,
            line={"color": line.colour},
            error_y={"array": mine["half_width"].fillna(0), "thickness": 1, "width": 3},
            hovertemplate=f"{line.name}<br>%{{x}}/255: %{{y:.4f}}<extra></extra>",
        )
    names: list[tuple[str, float]] = list(zip(reported["paper"], reported["lambda"]))
    for paper, strength in dict.fromkeys(names):
        rows = reported[(reported["paper"] == paper) & (reported["lambda"] == strength)]
        line = lines.get(strength)
        found.add_scatter(
            x=rows["radius"],
            y=rows["value"],
            mode="markers",
            name=f"{hover(paper)} reports" + (f", {line.name}" if line else ""),
            marker={"symbol": "star-open", "color": line.colour if line else CONTROL, "size": 12},
        )
    found.update_xaxes(tickvals=sorted(table["radius"].astype(float).unique()))
    return found
