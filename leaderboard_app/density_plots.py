"""Distributions over test images, and points per image, as Plotly figures: pure functions of
tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from .labels import hover
from .palette import CONTROL, Style, ordered
from .plots import SHARE, figure

POINTS = 200  # of a density's curve
HIGHEST = 4.0  # medians of the peaks: a density that is higher leaves the chart
TICKS = (0.5, 0.75, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999)


def strength_colours(strengths: Sequence[float]) -> dict[float, str]:
    """λ → colour, darker for larger λ; λ = 0 in the control's grey."""
    positive = sorted(strength for strength in set(strengths) if strength > 0)
    places = np.linspace(0.9, 0.0, len(positive)) if len(positive) > 1 else [0.4]
    colours = {
        strength: str(sample_colorscale("Viridis", [place])[0])
        for strength, place in zip(positive, places)
    }
    return ({0.0: CONTROL} if 0 in strengths else {}) | colours


def densities(table: pd.DataFrame, column: str, title: str, x: str) -> go.Figure:
    """One Gaussian kernel density (Scott's bandwidth) for each λ, over the images of all its seeds.

    A density much higher than most, of a model that gives all images the same, leaves the chart: it
    would flatten the others.

    Args:
        table: columns lambda and `column`.
    """
    found = figure(title, x, "Density")
    mine, peaks = table[np.isfinite(table[column].astype(float))], []
    for strength, colour in strength_colours(mine["lambda"].tolist()).items():
        values = mine.loc[mine["lambda"] == strength, column].to_numpy(float)
        if len(values) < 2 or np.ptp(values) == 0:
            continue
        width = values.std(ddof=1) * len(values) ** -0.2  # Scott
        grid = np.linspace(values.min() - 3 * width, values.max() + 3 * width, POINTS)
        heights = np.exp(-0.5 * ((grid[:, None] - values) / width) ** 2).sum(1) / (
            len(values) * width * np.sqrt(2 * np.pi)
        )
        peaks.append(heights.max())
        found.add_scatter(
            x=grid,
            y=heights,
            mode="lines",
            name=f"λ = {strength:g}",
            line={"color": colour, "width": 2},
            hovertemplate=f"λ = {strength:g}, {len(values)} images<br>%{{x:.3g}}<extra></extra>",
        )
    if peaks and max(peaks) > (most := HIGHEST * float(np.median(peaks))):
        found.update_yaxes(range=[-0.03 * most, most])
    return found


def shares(table: pd.DataFrame, column: str, edges: np.ndarray, title: str, x: str) -> go.Figure:
    """A histogram for each λ as steps: the share of images in each bin, in percent; values beyond
    the edges count at them.
    """
    found = figure(title, x, "Images (%)")
    mine = table[table[column].notna()]
    for strength, colour in strength_colours(mine["lambda"].tolist()).items():
        values = mine.loc[mine["lambda"] == strength, column].to_numpy(float)
        counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
        found.add_scatter(
            x=(edges[:-1] + edges[1:]) / 2,
            y=100 * counts / len(values),
            mode="lines",
            name=f"λ = {strength:g}",
            line={"color": colour, "width": 2, "shape": "hvh"},
            hovertemplate=f"λ = {strength:g}<br>%{{x:.3g}}: %{{y:.1f}} %<extra></extra>",
        )
    return found


def survival(
    table: pd.DataFrame, column: str, styles: Mapping[str, Style], title: str, x: str
) -> go.Figure:
    """For each method the share of images, in percent, whose value exceeds x.

    Args:
        table: columns method and `column`; an infinite value exceeds every x.
    """
    found = figure(title, x, "Images beyond (%)")
    for method in ordered(table["method"]):
        values = np.sort(
            table.loc[(table["method"] == method) & table[column].notna(), column].to_numpy(float)
        )
        if not len(values):
            continue
        finite = values[np.isfinite(values)]
        style = styles[method]
        found.add_scatter(
            x=np.concatenate([[0.0], finite]),
            y=100
            * (
                1
                - np.searchsorted(values, np.concatenate([[0.0], finite]), side="right")
                / len(values)
            ),
            mode="lines",
            name=hover(method),
            line={"color": style.colour, "dash": style.dash, "shape": "hv"},
            hovertemplate=f"{hover(method)}<br>beyond %{{x:.3g}}: %{{y:.1f}} %<extra></extra>",
        )
    return found


def accuracy_against_epsilon(
    table: pd.DataFrame, styles: Mapping[str, Style], title: str, x: str
) -> go.Figure:
    """One line a method: accuracy against ε in percent, with 95 % intervals over seeds; ε = 0 is
    clean accuracy.

    Args:
        table: columns method, epsilon, mean, half_width, lambda.
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
            error_y={"array": (100 * rows["half_width"]).fillna(0), "thickness": 1, "width": 3},
            hovertemplate=f"{hover(method)}, λ = {rows['lambda'].iloc[0]:g}<br>ε = %{{x:g}}: %{{y:.1f}} %"
            "<extra></extra>",
        )
    found.update_yaxes(autorangeoptions=SHARE)
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
            marker={"color": colour, "symbol": symbol, "size": 5, "opacity": 0.6},
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


def boxes(
    table: pd.DataFrame, names: Mapping[str, str], title: str, y: str, colour: str
) -> go.Figure:
    """One box a column on a log axis: quartiles, whiskers to 1.5 times their distance, points
    beyond.
    """
    found = figure(title, "", y, height=430)
    for column, name in names.items():
        values = table[column].to_numpy(float)
        found.add_box(
            y=values[values > 0],
            name=name,
            line={"color": colour, "width": 1.5},
            marker={"size": 3},
            showlegend=False,
            boxpoints="outliers",
        )
    found.update_yaxes(type="log", exponentformat="power", dtick=1)
    return found


def against_radius(
    table: pd.DataFrame, styles: Mapping[str, Style], title: str, y: str
) -> go.Figure:
    """One line a method and kind of perturbation over ‖z‖₂, with 95 % intervals over seeds; random
    ones are thin and dotted.

    Args:
        table: as `samples.perturbed` gives it, of one quantity.
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
                name=f"{hover(method)}, {kind}",
                line={"color": style.colour, **line},
                marker={"symbol": style.symbol, "color": style.colour, "size": 8},
                error_y={"array": rows["half_width"].fillna(0), "thickness": 1, "width": 3},
                hovertemplate=f"{hover(method)}, {kind}<br>‖z‖ = %{{x:g}}: %{{y:.3g}}<extra></extra>",
            )
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
        marker={"color": colour, "size": 5, "opacity": 0.6},
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
