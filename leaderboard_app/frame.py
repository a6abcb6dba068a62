"""What all pages share: deep-linkable choices, messages instead of stack traces, and following a
run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from registry.read import nearest, shown
from registry.spec import InputError, Track

from . import queries
from .labels import plain
from .palette import Style, styles

DEFAULT_TRACK = "quickstart"
REFRESH = 3.0  # seconds
FORMAT, FORMATS = "image format", ("svg", "png")


@contextmanager
def reading() -> Iterator[None]:
    """Around whatever reads: what cannot be read becomes one line that says what to do, and the
    page ends there.
    """
    try:
        yield
    except InputError as error:
        st.warning(plain(str(error)), icon=":material/database_off:")
        st.stop()


def _prepare(param: str, asked: Any, default: Any, fits: Callable[[Any], bool]) -> str:
    """Sets a widget to what the address asks for, once: after that the user's choice holds. Returns
    the widget's key.

    What was chosen is remembered from page to page, where Streamlit forgets both widgets and
    address.
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


def choose(
    label: str,
    options: Sequence[str],
    param: str,
    default: str,
    format_func: Callable[[str], str] = str,
    *,
    of: str = "",
) -> str:
    """A select box whose value is in the page's address: a link to the address opens the same view.

    With `of` the choice holds for that thing only: once it changes, the default returns.
    """
    if of and st.session_state.setdefault(f"of {param}", of) != of:
        st.session_state[f"of {param}"] = of
        for key in (f"widget {param}", f"chosen {param}"):
            st.session_state.pop(key, None)
        st.query_params.pop(param, None)
    asked = st.query_params.get(param)
    if (
        asked is not None
        and asked not in options
        and asked != st.session_state.get(f"chosen {param}")
    ):
        st.warning(plain(nearest(asked, options, "one of these")))
    key = _prepare(
        param, asked, default if default in options else options[0], lambda value: value in options
    )
    chosen = st.selectbox(label, options, key=key, format_func=format_func)
    _remember(param, chosen)
    return chosen


def choose_several(
    label: str, options: Sequence[str], param: str, default: Sequence[str]
) -> list[str]:
    """The same for several values."""
    key = _prepare(
        param,
        st.query_params.get_all(param),
        list(default),
        lambda values: set(values) <= set(options),
    )
    chosen = st.multiselect(label, options, key=key)
    _remember(param, chosen)
    return chosen


def search(label: str, param: str, placeholder: str) -> str:
    """The same for text."""
    key = _prepare(param, st.query_params.get(param), "", lambda value: True)
    text = st.text_input(label, key=key, placeholder=placeholder)
    _remember(param, text)
    return text


def number(label: str, param: str, default: float, low: float, high: float, about: str) -> float:
    """The same for a number; one that the address spells wrongly is the default."""

    def read(value: Any) -> float | None:
        try:
            return found if low <= (found := float(value)) <= high else None
        except ValueError:
            return None

    key = _prepare(
        param, st.query_params.get(param), str(default), lambda value: read(value) is not None
    )
    st.session_state[key] = read(st.session_state[key])
    value = st.number_input(
        label, min_value=low, max_value=high, step=0.5, format="%.1f", key=key, help=about
    )
    _remember(param, f"{value:g}")
    return value


def switch(label: str, param: str) -> bool:
    """The same for a yes or no."""
    key = _prepare(
        param, st.query_params.get(param), False, lambda value: value in (True, False, "yes")
    )
    st.session_state[key] = bool(st.session_state[key])
    on = st.toggle(label, key=key)
    _remember(param, "yes" if on else "")
    return on


def choose_track(
    allowed: Callable[[Track], bool] = lambda track: True, otherwise: str = ""
) -> Track:
    """The track picker. `otherwise` is said where no track is allowed."""
    with reading():
        tracks, errors = queries.tracks()
    for error in errors:
        st.warning(plain(error), icon=":material/error:")
    names = [name for name, track in tracks.items() if allowed(track)]
    if not names:
        st.info(otherwise or "No track is registered: `registry/tracks/` is empty.")
        st.stop()
    name = choose(
        "Track", names, "track", DEFAULT_TRACK, lambda name: f"{tracks[name].title} ({name})"
    )
    return tracks[name]


def choose_architecture(track: Track) -> str:
    """Asks only where there is a choice."""
    if len(track.architectures) == 1:
        return track.architectures[0]
    return choose(
        "Architecture",
        track.architectures,
        "architecture",
        track.architectures[0],
        lambda name: queries.registry().architecture(name).title,
    )


def method_styles(track: Track) -> dict[str, Style]:
    """The styles of all registered methods and of the track's variants of them."""
    return styles(
        [*queries.registry().regularizer_folders, *(line.regularizer for line in track.entry)]
    )


def nothing_yet(track: Track, what: str = "results") -> None:
    """What to do where there is nothing to show."""
    st.info(
        f"No {what} of this track yet. Run\n\n```\nregbench run {track.name}\n```\n\n"
        "and this page fills by itself while the run goes on.",
        icon=":material/hourglass_empty:",
    )


def open_page(page: str, **choices: str) -> None:
    """Goes to another page with these choices made there."""
    for param, value in choices.items():
        st.session_state[f"chosen {param}"] = value
        st.session_state.pop(f"widget {param}", None)
    st.switch_page(page)


def chart(figure: go.Figure, name: str, rows: pd.DataFrame) -> None:
    """A chart that downloads as an image, in the format that the page's foot offers, and as CSV.

    Args:
        rows: what is plotted.
    """
    st.plotly_chart(
        figure,
        key=name,
        config={
            "displaylogo": False,
            "toImageButtonOptions": {
                "format": st.session_state.get(FORMAT, FORMATS[0]),
                "filename": name,
            },
            "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
        },
    )
    download(rows, name, "CSV", quiet=True)


def plotted(figure: go.Figure) -> pd.DataFrame:
    """Every curve and point of a chart over probabilities: columns name, probability, value."""
    traces: list[Any] = list(figure.select_traces())
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "name": trace.name,
                    "probability": np.asarray(trace.customdata, float),
                    "value": np.asarray(trace.y, float),
                }
            )
            for trace in traces
        ],
        ignore_index=True,
    )


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


def foot(seen: queries.Version) -> None:
    """Below every page: where its rows come from, and the format of its images."""
    st.divider()
    store = queries.store()
    registered = "the repository's registered results" if store.registered else ""
    here = shown(store.path) if store.path.exists() or not registered else ""
    rows = " and ".join(filter(None, (here, registered)))
    st.caption(plain(f"RegBench · rows of {rows}" + ("" if seen else " (not there yet)")))
    st.radio("A chart's camera saves", FORMATS, key=FORMAT, horizontal=True, format_func=str.upper)


@st.fragment(run_every=REFRESH)
def follow(seen: queries.Version) -> None:
    """Draws the page anew once the database has changed since `seen`."""
    if queries.version() != seen:
        st.rerun()
