"""Two methods beside each other as Plotly figures: pure functions of tables."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from .labels import hover
from .palette import CONTROL, Style
from .plots import figure


def intervals(
    table: pd.DataFrame,
    column: str,
    methods: tuple[str, str],
    styles: Mapping[str, Style],
    title: str,
) -> go.Figure:
    """One row a line: the difference, first less second, with its interval, in percent; coloured by
    who is told better.

    Args:
        table: `column` (names the lines), difference, low, high, and first and second (means).
    """
    first, second = methods
    found = figure(title, f"{first} less {second} (points)", "", height=130 + 34 * len(table))
    parts = {first: table["low"] > 0, second: table["high"] < 0}
    parts["not told apart"] = ~(parts[first] | parts[second])
    for name, mask in parts.items():
        mine = table[mask]
        if mine.empty:
            continue
        colour, symbol = (
            (styles[name].colour, styles[name].symbol)
            if name in styles
            else (CONTROL, "circle-open")
        )
        label = f"{hover(name)} better" if name in styles else name
        found.add_scatter(
            x=100 * mine["difference"],
            y=[hover(text) for text in mine[column]],
            mode="markers",
            name=label,
            marker={"color": colour, "symbol": symbol, "size": 10},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": (100 * (mine["high"] - mine["difference"])).fillna(0),
                "arrayminus": (100 * (mine["difference"] - mine["low"])).fillna(0),
                "thickness": 1.5,
                "width": 4,
            },
            customdata=(100 * mine[["first", "second", "low", "high"]]).to_numpy(),
            hovertemplate=f"%{{y}}<br>{hover(first)} %{{customdata[0]:.1f}}, {hover(second)} %{{customdata[1]:.1f}}"
            "<br>%{x:+.1f} [%{customdata[2]:+.1f}, %{customdata[3]:+.1f}]<extra></extra>",
        )
    found.add_vline(x=0, line={"color": CONTROL, "width": 1, "dash": "dot"})
    found.update_yaxes(
        type="category",
        dtick=1,
        autorange="reversed",
        categoryorder="array",
        categoryarray=[hover(text) for text in table[column]],
    )
    found.update_layout(legend={"y": -90 / (130 + 34 * len(table)) - 0.12})
    return found
