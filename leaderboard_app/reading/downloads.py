"""Tables that leave the page as CSV, LaTeX and Markdown, charts as images and PDF, and the page as
a link.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import streamlit as st

from ..words import symbols
from ..words.labels import plain

if TYPE_CHECKING:
    import plotly.graph_objects as go

FORMAT, FORMATS = "image format", ("svg", "png")
PAPER = {"width": 640, "scale": 3}  # pixels; of a PNG three times as many
TO_PDF = "`pip install 'regbench[pdf]'` and Chrome or Chromium"


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
    """A button that hands out a table as CSV."""
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
    """A table for LaTeX's booktabs, its symbols as commands that every LaTeX knows."""
    return symbols.in_latex(table.to_latex(index=False, escape=True))


def written(table: pd.DataFrame) -> pd.DataFrame:
    """A table's cells as a paper has them: numbers with four digits at most, nothing where nothing
    is known.
    """
    cells = {
        column: [
            ""
            if pd.api.types.is_scalar(value) and pd.isna(value)
            else f"{value:.4g}"
            if isinstance(value, float)
            else str(value)
            for value in table[column].astype(object)
        ]
        for column in table
    }
    return pd.DataFrame(cells, columns=list(table))


def take_away(raw: pd.DataFrame, shown: pd.DataFrame, name: str) -> None:
    """Buttons that save a table: its numbers as CSV, what the page shows as LaTeX and Markdown."""
    with st.container(horizontal=True):
        download(raw, name)
        forms = {"LaTeX": (to_latex, "tex"), "Markdown": (to_markdown, "md")}
        for label, (form, ending) in forms.items():
            st.download_button(
                label,
                lambda form=form: form(written(shown)),
                f"{name}.{ending}",
                "text/plain",
                key=f"{ending} {name}",
                on_click="ignore",
                type="tertiary",
            )


@st.cache_resource(show_spinner=False)
def writes_pdf() -> bool:
    """Whether plotly's kaleido and a browser for it are there."""
    if importlib.util.find_spec("kaleido") is None:
        return False
    from choreographer.browsers.chromium import Chromium

    return Chromium.find_browser(skip_local=False) is not None


def to_pdf(figure: go.Figure) -> bytes:
    """A chart at a paper's size, drawn by a browser that starts for it."""
    return figure.to_image(format="pdf", width=PAPER["width"], height=figure.layout.height)


def take_away_chart(figure: go.Figure, rows: pd.DataFrame, name: str) -> None:
    """Buttons that save what a chart plots, and the chart as PDF where that can be written; its
    camera saves it as SVG and PNG.
    """
    with st.container(horizontal=True):
        download(rows, name, "CSV", quiet=True)
        if writes_pdf():
            st.download_button(
                "PDF",
                lambda: to_pdf(figure),
                f"{name}.pdf",
                "application/pdf",
                key=f"pdf {name}",
                on_click="ignore",
                type="tertiary",
            )


def address(choices: Mapping[str, Sequence[str]]) -> str:
    """The part of a page's address that holds choices, whatever signs are in them."""
    return urlencode(choices, doseq=True, safe=":,/")


def link() -> None:
    """The page's address with every choice made on it."""
    with st.popover("Link to this view", icon=":material/link:"):
        params = st.query_params
        query = address({param: params.get_all(param) for param in params})
        st.code(f"{st.context.url or ''}?{query}", language=None)
        st.caption(plain("It opens with the same choices."))
