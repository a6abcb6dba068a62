"""Distributions over images, and over layers, as Plotly figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ..words.labels import hover
from ..words.style import CONTROL, Style, ordered, strength_colours
from .canvas import figure

POINTS = 200  # of a density's curve
HIGHEST = 4.0  # medians of the peaks: a density that is higher leaves the chart
WIDEST = 4.0  # medians of the widths: a density that is wider leaves the chart
TAIL = 0.005  # the share of a density's images that may lie outside the chart on either side


@dataclass(frozen=True)
class Line:
    """How one distribution among several is drawn."""

    name: str
    colour: str
    dash: str = "solid"


def of_strengths(strengths: Iterable[float], style: Style) -> dict[float, Line]:
    """A line for each strength of a method, coloured by how strong it is."""
    colours = strength_colours(strengths)
    return {value: Line(style.strength(value), colour) for value, colour in colours.items()}


def of_methods(methods: Iterable[str], styles: Mapping[str, Style]) -> dict[str, Line]:
    """A line for each method, in its style."""
    return {
        method: Line(hover(method), styles[method].colour, styles[method].dash)
        for method in ordered(methods)
    }


def _grouped(
    table: pd.DataFrame, column: str, by: str, lines: Mapping[Any, Line]
) -> dict[Any, np.ndarray]:
    """The finite values of each group that is drawn and has two that differ."""
    values = {key: table.loc[table[by] == key, column].to_numpy(float) for key in lines}
    finite = {key: found[np.isfinite(found)] for key, found in values.items()}
    return {key: found for key, found in finite.items() if len(found) > 1 and np.ptp(found) > 0}


def _range(groups: Iterable[np.ndarray]) -> list[float] | None:
    """From the lowest to the highest tail, of the groups that are not much wider than most."""
    tails = np.array([np.quantile(values, (TAIL, 1 - TAIL)) for values in groups])
    if not len(tails):
        return None
    widths = tails[:, 1] - tails[:, 0]
    kept = tails[widths <= WIDEST * np.quantile(widths, 0.5, method="lower")]
    low, high = float(kept[:, 0].min()), float(kept[:, 1].max())
    return [low - 0.05 * (high - low), high + 0.05 * (high - low)]


def densities(
    table: pd.DataFrame,
    column: str,
    by: str,
    lines: Mapping[Any, Line],
    title: str,
    x: str,
) -> go.Figure:
    """One Gaussian kernel density (Scott's bandwidth) for each group, over the images of all its
    seeds, and a line at zero.

    A density much higher or wider than most, of a model that gives all images the same or has come
    apart, leaves the chart: it would flatten the others.

    Args:
        table: `column`, and `by`, whose values are the keys of `lines`.
    """
    found, peaks = figure(title, x, "Density"), []
    groups = _grouped(table, column, by, lines)
    for key, values in groups.items():
        line = lines[key]
        width = values.std(ddof=1) * len(values) ** -0.2  # Scott
        grid = np.linspace(values.min() - 3 * width, values.max() + 3 * width, POINTS)
        bells = np.exp(-0.5 * ((grid[:, None] - values) / width) ** 2)
        heights = bells.sum(1) / (len(values) * width * np.sqrt(2 * np.pi))
        peaks.append(heights.max())
        found.add_scatter(
            x=grid,
            y=heights,
            mode="lines",
            name=line.name,
            line={"color": line.colour, "dash": line.dash, "width": 2},
            hovertemplate=f"{line.name}, {len(values)} images<br>%{{x:.3g}}<extra></extra>",
        )
    if groups:
        most = HIGHEST * float(np.quantile(peaks, 0.5, method="lower"))
        found.update_xaxes(range=_range(groups.values()))
        if max(peaks) > most:
            found.update_yaxes(range=[-0.03 * most, most])
        found.add_vline(x=0, line={"color": CONTROL, "width": 1, "dash": "dot"})
    return found


def ridges(
    tables: Mapping[str, pd.DataFrame],
    column: str,
    lines: Mapping[float, Line],
    title: str,
    x: str,
) -> go.Figure:
    """One ridge a strength, the weakest below: the first table's density upward, the second's
    downward, each with its median and quartiles.

    Args:
        tables: what a side is of (such as "test") → columns lambda and `column`; at most two.
    """
    found = figure(title, x, "", height=140 + 56 * len(lines))
    every: list[np.ndarray] = []
    for (name, table), side in zip(tables.items(), ("positive", "negative")):
        groups = _grouped(table, column, "lambda", lines)
        every += groups.values()
        for i, (key, values) in enumerate(groups.items()):
            line = lines[key]
            found.add_violin(
                x=values,
                y0=line.name,
                orientation="h",
                side=side,
                width=1.6 if len(tables) == 1 else 1.0,
                points=False,
                spanmode="hard",
                box={"visible": True, "width": 0.12},
                line={"color": line.colour, "width": 1.5 if side == "positive" else 1},
                name=f"{name}, {'upward' if side == 'positive' else 'downward'}",
                legendgroup=name,
                showlegend=i == 0,
                hoverinfo="x",
            )
    if every:
        found.update_xaxes(range=_range(every))
        found.add_vline(x=0, line={"color": CONTROL, "width": 1, "dash": "dot"})
    found.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=[line.name for line in lines.values()],
    )
    return found


def shares(
    table: pd.DataFrame,
    column: str,
    lines: Mapping[float, Line],
    edges: np.ndarray,
    title: str,
    x: str,
) -> go.Figure:
    """A histogram for each λ as steps from edge to edge: the share of images in each bin, in
    percent; values beyond the edges count at them.
    """
    found = figure(title, x, "Images (%)")
    bins = [f"{low:.3g}–{high:.3g}" for low, high in pairwise(edges)]
    mine = table[table[column].notna()]
    for strength, line in lines.items():
        values = mine.loc[mine["lambda"] == strength, column].to_numpy(float)
        if not len(values):
            continue
        counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
        steps = 100 * np.append(counts, counts[-1]) / len(values)  # the last bin ends at its edge
        found.add_scatter(
            x=edges,
            y=steps,
            mode="lines",
            name=line.name,
            line={"color": line.colour, "width": 2, "shape": "hv"},
            customdata=[*bins, bins[-1]],
            hovertemplate=f"{line.name}<br>%{{customdata}}: %{{y:.1f}} %<extra></extra>",
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
        x_values = np.concatenate([[0.0], values[np.isfinite(values)]])
        within = np.searchsorted(values, x_values, side="right") / len(values)
        style = styles[method]
        found.add_scatter(
            x=x_values,
            y=100 * (1 - within),
            mode="lines",
            name=hover(method),
            line={"color": style.colour, "dash": style.dash, "shape": "hv"},
            hovertemplate=f"{hover(method)}<br>beyond %{{x:.3g}}: %{{y:.1f}} %<extra></extra>",
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


def layer_spread(layers: pd.DataFrame, lines: Mapping[float, Line]) -> go.Figure:
    """Standard deviation of each layer's singular values over the strengths: a line a λ, with 95 %
    intervals over seeds (Wen et al. 2020).

    Args:
        layers: as `tables.margins.layer_spread` gives it.
    """
    found = figure("Spread of singular values", "Layer", "Standard deviation of σ")
    for strength, line in lines.items():
        mine = layers[layers["lambda"] == strength]
        found.add_scatter(
            x=mine["layer"],
            y=mine["mean"],
            mode="lines+markers",
            name=line.name,
            line={"color": line.colour},
            error_y={"array": mine["half_width"].fillna(0), "thickness": 1, "width": 3},
            hovertemplate=f"{line.name}<br>%{{x}}: %{{y:.3g}}<extra></extra>",
        )
    return found
