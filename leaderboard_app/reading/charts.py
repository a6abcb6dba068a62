"""A chart on a page: it leaves the page, and a click on a point shows the trials behind it."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from registry.spec import InputError, Track

from ..tables import method, origin
from ..words import citation
from ..words.labels import plain
from ..words.style import base
from . import downloads, provenance, queries

if TYPE_CHECKING:
    import plotly.graph_objects as go


def chart(
    figure: go.Figure,
    name: str,
    rows: pd.DataFrame,
    behind: Callable[[str, str], None] | None = None,
) -> None:
    """A chart that leaves the page as an image, in the format that the page's foot offers, as PDF
    and as CSV.

    Args:
        rows: what is plotted.
        behind: shows what stands behind a point, by its origin; the second argument makes the keys
            of widgets unlike those of other charts.
    """
    from ..figures.canvas import with_room

    _drawn(with_room(figure), name, rows, behind)


@st.fragment
def _drawn(
    figure: go.Figure, name: str, rows: pd.DataFrame, behind: Callable[[str, str], None] | None
) -> None:
    image: dict[str, Any] = {
        "format": st.session_state.get(downloads.FORMAT, downloads.FORMATS[0]),
        "filename": name,
    }
    config = {
        "displaylogo": False,
        "toImageButtonOptions": image | downloads.PAPER | {"height": figure.layout.height},
        "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
    }
    title = html.unescape(str(figure.layout.title.text).replace("<br>", " "))
    if behind is None:
        st.plotly_chart(figure, key=name, config=config, alt=title)
    else:
        state = st.plotly_chart(
            figure,
            key=name,
            config=config,
            alt=title,
            on_select="rerun",
            selection_mode="points",
        )
        for point in state.selection.points[:1]:
            found = origin.of_point(figure, point["curve_number"], point["point_index"])
            if found:
                behind(found, name)
    downloads.take_away_chart(figure, rows, name)


def behind(track: Track, architecture: str) -> Callable[[str, str], None]:
    """Shows the trials that a point of a chart rests on: whose they are, their files and versions,
    and what repeats them.
    """

    def show(point: str, name: str) -> None:
        try:
            standings = queries.standings(track)
            trials = origin.trials(point, queries.trials(track), standings, architecture)
            asked = {trial.key: trial for trial in trials}
            known, sources = queries.trial_rows(asked), queries.sources(asked)
            table = method.trials(asked, known.to_dict("records"), sources, provenance.files(asked))
        except InputError as error:  # read anew, after a click: the database may have gone since
            st.warning(plain(str(error)), icon=":material/database_off:")
            return
        with st.container(border=True):
            st.markdown(f"Behind the point: {len(table)} trials of `{point}`.")
            st.dataframe(table, hide_index=True, height="content", placeholder="–")
            last = {trial.entry.id: trial.key for trial in trials}  # repeats the seeds before it
            repeats = table[table["Key"].isin(last.values())]["Command"]
            st.code("\n".join(repeats), language="bash")
            commits = sorted(set(table["Commit"].dropna()))
            names = dict.fromkeys(base(trial.entry.regularizer) for trial in trials)
            cards = [queries.registry().regularizer(name).card for name in names]
            cited = [citation.of_method(card) for card in cards if not card.is_control]
            st.code("\n\n".join([*cited, citation.of_benchmark(commits)]), language="bibtex")
            downloads.take_away(table, table, f"behind {name}")

    return show
