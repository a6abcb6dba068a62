"""What all pages share: deep-linkable choices, messages instead of stack traces, and following a run."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from registry.load import nearest
from registry.spec import InputError, Track

from . import queries
from .labels import plain
from .palette import Style, styles

DEFAULT_TRACK = "quickstart"
REFRESH = 3.0  # seconds


@contextmanager
def reading() -> Iterator[None]:
    """Around whatever reads: what cannot be read becomes one line that says what to do, and the page ends there."""
    try:
        yield
    except InputError as error:
        st.warning(plain(str(error)), icon=":material/database_off:")
        st.stop()


def _prepare(param: str, asked: Any, default: Any, fits: Callable[[Any], bool]) -> str:
    """Sets a widget to what the address asks for, once: after that the user's choice holds. Returns the widget's key.

    What was chosen is remembered from page to page, where Streamlit forgets both widgets and address.
    """
    key, remembered = f"widget {param}", f"chosen {param}"
    if asked and asked != st.session_state.get(remembered) and fits(asked):
        st.session_state[key] = asked
    for value in (st.session_state.get(key), st.session_state.get(remembered), default):
        if value is not None and fits(value):
            st.session_state[key] = value
            break
    return key


def _remember(param: str, value: Any) -> None:
    st.session_state[f"chosen {param}"] = value
    if value:
        st.query_params[param] = value
    else:
        st.query_params.pop(param, None)


def choose(label: str, options: Sequence[str], param: str, default: str, format_func: Callable[[str], str] = str) -> str:
    """A select box whose value is in the page's address: a link to the address opens the same view."""
    asked = st.query_params.get(param)
    if asked is not None and asked not in options and asked != st.session_state.get(f"chosen {param}"):
        st.warning(plain(nearest(asked, options, "one of these")))
    key = _prepare(param, asked, default if default in options else options[0], lambda value: value in options)
    chosen = st.selectbox(label, options, key=key, format_func=format_func)
    _remember(param, chosen)
    return chosen


def choose_several(label: str, options: Sequence[str], param: str, default: Sequence[str]) -> list[str]:
    """The same for several values."""
    key = _prepare(param, st.query_params.get_all(param), list(default), lambda values: set(values) <= set(options))
    chosen = st.multiselect(label, options, key=key)
    _remember(param, chosen)
    return chosen


def search(label: str, param: str, placeholder: str) -> str:
    """The same for text."""
    key = _prepare(param, st.query_params.get(param), "", lambda value: True)
    text = st.text_input(label, key=key, placeholder=placeholder)
    _remember(param, text)
    return text


def choose_track(allowed: Callable[[Track], bool] = lambda track: True, otherwise: str = "") -> Track:
    """The track picker. `otherwise` is said where no track is allowed."""
    with reading():
        tracks, errors = queries.tracks()
    for error in errors:
        st.warning(plain(error), icon=":material/error:")
    names = [name for name, track in tracks.items() if allowed(track)]
    if not names:
        st.info(otherwise or "No track is registered: `registry/tracks/` is empty.")
        st.stop()
    name = choose("Track", names, "track", DEFAULT_TRACK, lambda name: f"{tracks[name].title} ({name})")
    return tracks[name]


def choose_architecture(track: Track) -> str:
    """Asks only where there is a choice."""
    if len(track.architectures) == 1:
        return track.architectures[0]
    return choose("Architecture", track.architectures, "architecture", track.architectures[0],
                  lambda name: queries.registry().architecture(name).title)


def method_styles(track: Track) -> dict[str, Style]:
    """The styles of all registered methods and of the track's variants of them."""
    return styles([*queries.registry().regularizer_folders, *(line.regularizer for line in track.entry)])


def nothing_yet(track: Track, what: str = "results") -> None:
    """What to do where there is nothing to show."""
    st.info(f"No {what} of this track yet. Run\n\n```\nregbench run {track.name}\n```\n\n"
            "and this page fills by itself while the run goes on.", icon=":material/hourglass_empty:")


def chart(figure: go.Figure, name: str) -> None:
    """A chart that downloads as SVG under the given name."""
    st.plotly_chart(figure, key=name, config={
        "displaylogo": False, "toImageButtonOptions": {"format": "svg", "filename": name},
        "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]})


def download(table: pd.DataFrame, name: str, label: str = "Download CSV") -> None:
    st.download_button(label, table.to_csv(index=False), f"{name}.csv", "text/csv", key=f"csv {name}", on_click="ignore",
                       icon=":material/download:")


@st.fragment(run_every=REFRESH)
def follow(seen: queries.Version) -> None:
    """Draws the page anew once the database has changed since `seen`."""
    if queries.version() != seen:
        st.rerun()
