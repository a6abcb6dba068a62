"""What stands around every page: messages instead of stack traces, where the rows come from, and
following a run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

import streamlit as st

from registry.read import shown
from registry.spec import InputError, Track

from ..words.labels import plain
from ..words.style import Style, styles
from . import queries
from .downloads import FORMAT, FORMATS, TO_PDF, link, writes_pdf
from .registries import one_registry

REFRESH = 3.0  # seconds


class _End(Exception):
    """A page has no more to show."""


def end() -> NoReturn:
    """Ends the page where it stands. After Streamlit's own `st.stop` its foot could not be drawn,
    nor could it follow a run.
    """
    raise _End


@contextmanager
def reading() -> Iterator[None]:
    """Around whatever reads: what cannot be read becomes one line that says what to do, and the
    page ends there.
    """
    try:
        yield
    except InputError as error:
        st.warning(plain(str(error)), icon=":material/database_off:")
        end()


@contextmanager
def around() -> Iterator[None]:
    """Around a page: it has a foot and is drawn anew when rows arrive, also where it ends early."""
    seen = _now()
    with one_registry(), suppress(_End):
        yield
    _foot(seen)
    _follow(seen)


def _now() -> queries.Version | None:
    """What is read, as it is now; None where it cannot be, as the pages that read it say."""
    try:
        return queries.version()
    except InputError:
        return None


def method_styles() -> dict[str, Style]:
    """The styles of all methods and variants that the registry and its tracks know."""
    return styles(queries.method_names(), queries.radii())


def nothing_yet(track: Track, what: str = "results") -> None:
    """What to do where there is nothing to show."""
    st.info(
        f"No {what} of this track yet. Run\n\n```\nregbench run {track.name}\n```\n\n"
        "and this page fills by itself while the run goes on.",
        icon=":material/hourglass_empty:",
    )


def _foot(seen: queries.Version | None) -> None:
    """The page's address, where its rows come from, and the format of its images."""
    st.divider()
    link()
    with suppress(InputError):
        st.caption(plain(f"RegBench · rows of {_rows()}" + ("" if seen else " (not there yet)")))
    st.radio("A chart's camera saves", FORMATS, key=FORMAT, horizontal=True, format_func=str.upper)
    if not writes_pdf():
        st.caption(f"Charts as PDF need {TO_PDF}.")


def _rows() -> str:
    """The files that the rows come from, in words."""
    store = queries.store()
    registered = "the repository's registered results" if store.registered else ""
    here = shown(store.path) if store.path.exists() or not registered else ""
    return " and ".join(filter(None, (here, registered)))


@st.fragment(run_every=REFRESH)
def _follow(seen: queries.Version | None) -> None:
    """Draws the page anew once the database has changed since `seen`."""
    if _now() != seen:
        st.rerun()
