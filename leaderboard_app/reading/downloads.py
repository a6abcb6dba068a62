"""Charts and tables that leave the page: as images, CSV, LaTeX and Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from ..words.labels import plain

if TYPE_CHECKING:
    import plotly.graph_objects as go

FORMAT, FORMATS = "image format", ("svg", "png")
PAPER = {"width": 640, "scale": 3}  # pixels; of a PNG three times as many


def chart(figure: go.Figure, name: str, rows: pd.DataFrame) -> None:
    """A chart that downloads as an image, in the format that the page's foot offers, and as CSV.

    Args:
        rows: what is plotted.
    """
    from ..figures.canvas import with_room

    figure = with_room(figure)
    image: dict[str, Any] = {"format": st.session_state.get(FORMAT, FORMATS[0]), "filename": name}
    st.plotly_chart(
        figure,
        key=name,
        config={
            "displaylogo": False,
            "toImageButtonOptions": image | PAPER | {"height": figure.layout.height},
            "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
        },
    )
    download(rows, name, "CSV", quiet=True)


def plotted(figure: go.Figure) -> pd.DataFrame:
    """Every curve and point of a chart over probabilities: columns name, probability, value."""
    traces: list[Any] = list(figure.select_traces())
    parts = [
        pd.DataFrame(
            {
                "name": trace.name,
                "probability": np.asarray(trace.customdata, float),
                "value": np.asarray(trace.y, float),
            }
        )
        for trace in traces
    ]
    return pd.concat(parts, ignore_index=True)


def download(
    table: pd.DataFrame, name: str, label: str = "Download CSV", *, quiet: bool = False
) -> None:
    st.download_button(
        label,
        lambda: table.to_csv(index=False),
        f"{name}.csv",
        "text/csv",
        key=f"csv {name}",
        on_click="ignore",
        icon=":material/download:",
        type="tertiary" if quiet else "secondary",
    )


def to_markdown(table: pd.DataFrame) -> str:
    """A table as GitHub's Markdown has it."""
    rows = [list(table), ["---"] * table.shape[1], *table.astype(str).to_numpy().tolist()]
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def to_latex(table: pd.DataFrame) -> str:
    """A table for LaTeX's booktabs."""
    return table.to_latex(index=False, escape=True)


def take_away(raw: pd.DataFrame, shown: pd.DataFrame, name: str) -> None:
    """Buttons that save a table: its numbers as CSV, what the page shows as LaTeX and Markdown."""
    with st.container(horizontal=True):
        download(raw, name)
        forms = {"LaTeX": (to_latex, "tex"), "Markdown": (to_markdown, "md")}
        for label, (written, ending) in forms.items():
            st.download_button(
                label,
                lambda written=written: written(shown),
                f"{name}.{ending}",
                "text/plain",
                key=f"{ending} {name}",
                on_click="ignore",
                type="tertiary",
            )


def link(title: str = "Link to this view") -> None:
    """The page's address with every choice made on it."""
    with st.popover(title, icon=":material/link:"):
        query = "&".join(
            f"{param}={value}"
            for param in st.query_params
            for value in st.query_params.get_all(param)
        )
        st.code(f"{st.context.url or ''}?{query}", language=None)
        st.caption(plain("It opens with the same choices."))
