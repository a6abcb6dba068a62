"""Two methods beside each other as Plotly figures: pure functions of tables."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from ..words.labels import hover
from ..words.style import CONTROL, Style
from .canvas import figure, log_ticks


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
    # Beside the names of the lines an axis has no room for two names.
    compared = f"{title}: {first} less {second}"
    found = figure(compared, "Difference (points)", "", height=130 + 34 * len(table))
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
            hovertemplate=f"%{{y}}<br>{hover(first)} %{{customdata[0]:.1f}}, "
            f"{hover(second)} %{{customdata[1]:.1f}}"
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
    return found


def paired(
    table: pd.DataFrame, margin: float, title: str, x: str, y: str, colour: str
) -> go.Figure:
    """The paired difference over λ with its interval, and the band of ±margin within
    which a difference does not matter; in percent.

    Args:
        table: as `tables.equivalence.tests` gives it, of one score.
    """
    found = figure(title, x, y, height=300)
    known = table.sort_values("matched")
    known = known[known["matched"] > 0]
    found.add_hrect(
        y0=-margin, y1=margin, fillcolor="rgba(128,128,128,0.18)", line_width=0, layer="below"
    )
    found.add_hline(y=0, line={"color": CONTROL, "width": 1, "dash": "dot"})
    symbols = {"shown": "circle", "refuted": "x"}
    found.add_scatter(
        x=known["matched"],
        y=100 * known["difference"],
        mode="markers",
        name="difference",
        marker={
            "color": colour,
            "size": 9,
            "symbol": [symbols.get(verdict, "circle-open") for verdict in known["verdict"]],
        },
        error_y={"array": (100 * known["half_width"]).fillna(0), "thickness": 1.5, "width": 4},
        customdata=known[["verdict", "seeds"]].to_numpy(),
        hovertemplate="λ = %{x:g}<br>%{y:+.2f}<br>%{customdata[0]}, %{customdata[1]} seeds"
        "<extra></extra>",
    )
    # An interval of few seeds may be many times the band: the band stays to be seen.
    reach = (100 * (known["difference"].abs() + known["half_width"].fillna(0))).max()
    end = min(max(1.4 * margin, 1.1 * reach), 6 * margin) if len(known) else margin
    found.update_layout(showlegend=False)
    found.update_yaxes(range=[-end, end])
    found.update_xaxes(type="log", **log_ticks(known["matched"]))
    return found
