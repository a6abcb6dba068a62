"""What is proven and what is not yet broken, over ε."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from ..words.labels import hover
from ..words.style import Style, ordered
from .canvas import SHARE, figure

ENDS = {"worst": ("not broken", "solid"), "certified": ("certified", "dot")}


def over_epsilon(table: pd.DataFrame, styles: Mapping[str, Style], title: str, x: str) -> go.Figure:
    """Two lines a method, between which its accuracy lies.

    Args:
        table: as `ranking.brackets.at_selected` gives it.
    """
    found = figure(title, x, "Share of images (%)")
    alone = table["method"].nunique() == 1 and table["certified"].notna().all()
    for method in ordered(table["method"]):
        style, rows = styles[method], table[table["method"] == method]
        for end, (called, dash) in ENDS.items():
            found.add_scatter(
                x=rows["epsilon"],
                y=100 * rows[end],
                mode="lines+markers",
                name=hover(method),
                legendgroup=method,
                showlegend=end == "worst",
                line={"color": style.colour, "dash": dash, "width": 2},
                marker={"symbol": style.symbol, "color": style.colour, "size": 7},
                # the band of a lone method; of several they would hide each other
                fill="tonexty" if end == "certified" and alone else None,
                meta=[method] * len(rows),
                customdata=rows[["seeds", "images"]].to_numpy(),
                hovertemplate=f"{hover(method)}, {style.strength(rows['lambda'].iloc[0])}<br>"
                f"ε = %{{x:g}}: %{{y:.1f}} % {called}<br>%{{customdata[0]}} seeds, "
                "%{customdata[1]} images<extra></extra>",
            )
    found.update_yaxes(autorangeoptions=SHARE)
    return found
