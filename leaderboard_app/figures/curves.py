"""Curves over ε, over a perturbation's length and over confidence, as Plotly figures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ..words.labels import hover
from ..words.style import Style, ordered
from .canvas import SHARE, figure

TICKS = (0.5, 0.75, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999)


def accuracy_against_epsilon(
    table: pd.DataFrame, styles: Mapping[str, Style], title: str, x: str
) -> go.Figure:
    """One line a method: accuracy against ε in percent, with 95 % intervals over seeds; ε = 0 is
    clean accuracy.

    Args:
        table: as `tables.robustness.curves` gives it.
    """
    found = figure(title, x, "Accuracy (%)")
    for method in ordered(table["method"]):
        style, rows = styles[method], table[table["method"] == method].sort_values("epsilon")
        found.add_scatter(
            x=rows["epsilon"],
            y=100 * rows["mean"],
            mode="lines+markers",
            name=hover(method),
            line={"color": style.colour, "dash": style.dash, "width": 2},
            marker={"symbol": style.symbol, "color": style.colour, "size": 9},
            error_y={
                "array": (100 * (rows["high"] - rows["mean"])).fillna(0),
                "arrayminus": (100 * (rows["mean"] - rows["low"])).fillna(0),
                "symmetric": False,
                "thickness": 1,
                "width": 3,
            },
            meta=[method] * len(rows),
            customdata=rows[["seeds", "images"]].to_numpy(),
            hovertemplate=f"{hover(method)}, {style.strength(rows['lambda'].iloc[0])}<br>"
            "ε = %{x:g}: %{y:.1f} %<br>%{customdata[0]} seeds, %{customdata[1]} "
            "images<extra></extra>",
        )
    found.update_yaxes(autorangeoptions=SHARE)
    return found


def against_radius(
    table: pd.DataFrame, styles: Mapping[str, Style], title: str, y: str
) -> go.Figure:
    """One line a method and kind of perturbation over ‖z‖₂, with 95 % intervals over seeds; random
    ones are thin and dotted, and the legend names each method once.

    Args:
        table: as `theory.perturbed` gives it, of one quantity.
    """
    found = figure(title, "‖z‖₂ (input units)", y)
    for method in ordered(table["method"]):
        for kind, line in (("PGD", {"width": 2}), ("random", {"width": 1, "dash": "dot"})):
            rows = table[(table["method"] == method) & (table["kind"] == kind)].sort_values(
                "radius"
            )
            if rows.empty:
                continue
            style = styles[method]
            found.add_scatter(
                x=rows["radius"],
                y=rows["mean"],
                mode="lines+markers",
                name=hover(method),
                legendgroup=method,
                showlegend=kind == "PGD",
                line={"color": style.colour, **line},
                marker={"symbol": style.symbol, "color": style.colour, "size": 8},
                error_y={"array": rows["half_width"].fillna(0), "thickness": 1, "width": 3},
                hovertemplate=f"{hover(method)}, {kind}<br>"
                "‖z‖ = %{x:g}: %{y:.3g}<extra></extra>",
            )
    return found


def measured_over_curves(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray, str, str]],
    points: pd.DataFrame,
    names: Mapping[str, tuple[str, str, str]],
    title: str,
    y: str,
    *,
    log_odds: bool = False,
) -> go.Figure:
    """Curves over p_y with measured points on them.

    Args:
        curves: name → (p, value, colour, dash).
        points: columns probability and log_odds, and one for each of `names`.
        names: column → (how it is called, colour, symbol).
        log_odds: spread the axis as log(p/(1−p)), which tells confident images apart.
    """
    found = figure(
        title,
        "p_y, probability of the label" + (" (spread as log-odds)" if log_odds else ""),
        y,
        height=430,
    )
    if log_odds:
        found.update_xaxes(
            tickvals=[float(np.log(p / (1 - p))) for p in TICKS],
            ticktext=[f"{p:.12g}" for p in TICKS],
            tickangle=0,
        )
    for column, (called, colour, symbol) in names.items():
        mine = points[np.isfinite(points[column].astype(float))]
        found.add_scatter(
            x=mine["log_odds" if log_odds else "probability"],
            y=mine[column],
            mode="markers",
            name=called,
            marker={"color": colour, "symbol": f"{symbol}-open", "size": 5},
            customdata=mine["probability"],
            hovertemplate=f"{called}<br>p_y = %{{customdata:.4f}}<br>%{{y:.3g}}<extra></extra>",
        )
    for name, (p, value, colour, dash) in curves.items():
        found.add_scatter(
            x=np.log(p / (1 - p)) if log_odds else p,
            y=value,
            mode="lines",
            name=name,
            customdata=p,
            line={"color": colour, "dash": dash, "width": 2},
            hovertemplate=f"{name}<br>p_y = %{{customdata:.4f}}<br>%{{y:.3g}}<extra></extra>",
        )
    return found
