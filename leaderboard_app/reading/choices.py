"""What the reader chose: in the page's address, so that a link opens the same view, and remembered
from page to page.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from registry.read import nearest
from registry.spec import Track

from ..words.labels import plain
from ..words.style import base
from . import queries
from .frame import end, reading

DEFAULT_TRACK = "quickstart"  # where nothing has run


@dataclass(frozen=True)
class Need:
    """What a page needs of a track, in words that follow "this track has no", and which track has
    it.
    """

    what: str
    met: Callable[[Track], bool]


def prepare(param: str, asked: Any, default: Any, fits: Callable[[Any], bool]) -> str:
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


def remember(param: str, value: Any) -> None:
    """Keeps a choice for other pages and in the address; None removes it from there."""
    st.session_state[f"chosen {param}"] = value
    if value:
        st.query_params[param] = value
    else:
        st.query_params.pop(param, None)


def _move_default(param: str, default: Any) -> None:
    """Where a widget still shows its default, which another track or further rows may move, it
    shows the new one.
    """
    key, before = f"widget {param}", f"default {param}"
    if key in st.session_state and st.session_state[key] == st.session_state.get(before):
        st.session_state[key] = default
    st.session_state[before] = default


def _holds_for(param: str, of: str) -> None:
    """Forgets a choice that was made for another thing."""
    if of and st.session_state.setdefault(f"of {param}", of) != of:
        st.session_state[f"of {param}"] = of
        for key in (f"widget {param}", f"chosen {param}"):
            st.session_state.pop(key, None)
        st.query_params.pop(param, None)


def choose(
    label: str,
    options: Sequence[str],
    param: str,
    default: str,
    format_func: Callable[[str], str] = str,
    *,
    of: str = "",
    elsewhere: Collection[str] = (),
) -> str:
    """A select box whose value is in the page's address: a link to the address opens the same view.

    Args:
        of: the choice holds for that thing only: once it changes, the default returns.
        elsewhere: what other views offer. A link that asks for such is told that it is not here,
            and not that it is misspelt.
    """
    _holds_for(param, of)
    asked = st.query_params.get(param)
    default = default if default in options else options[0]
    if asked and asked not in options and asked != st.session_state.get(f"chosen {param}"):
        if asked in elsewhere:
            st.info(plain(f"{label}: {asked} is not part of this view; it shows {default}."))
        else:
            st.warning(plain(nearest(asked, options, "one of these")))
    key = prepare(param, asked, default, lambda value: value in options)
    chosen = st.selectbox(label, options, key=key, format_func=format_func)
    remember(param, chosen)
    return chosen


def choose_method(
    options: Sequence[str], label: str = "Method", param: str = "regularizer", default: str = ""
) -> str:
    """A select box of methods. A method that is asked for by its name alone is found as the variant
    that is here.
    """
    asked = st.query_params.get(param) or st.session_state.get(f"chosen {param}")
    kin = [name for name in options if base(name) == base(asked or "")]
    return choose(
        label, options, param, kin[0] if kin else default, elsewhere=queries.method_names()
    )


def choose_several(
    label: str, options: Sequence[str], param: str, default: Sequence[str]
) -> list[str]:
    """The same for several values: those that are not there are told, and the others chosen. The
    default is no choice, and is not remembered.
    """
    default = list(default)
    _move_default(param, default)
    asked = st.query_params.get_all(param)
    if asked != st.session_state.get(f"chosen {param}"):
        for name in asked:
            if name not in options:
                st.warning(plain(nearest(name, options, "one of these")))
        asked = [name for name in asked if name in options]
    key = prepare(param, asked, default, lambda values: set(values) <= set(options))
    chosen = st.multiselect(label, options, key=key)
    remember(param, None if chosen == default else chosen)
    return chosen


def tabs(labels: Sequence[str], param: str) -> Sequence[Any]:
    """Tabs, of which the open one is in the page's address."""
    asked = st.query_params.get(param)
    key = prepare(param, asked, labels[0], lambda value: value in labels)
    found = st.tabs(labels, key=key, on_change="rerun")
    remember(param, st.session_state[key])
    return found


def search(label: str, param: str, placeholder: str) -> str:
    """The same for text."""
    key = prepare(param, st.query_params.get(param), "", lambda value: True)
    text = st.text_input(label, key=key, placeholder=placeholder)
    remember(param, text)
    return text


def number(
    label: str, param: str, default: float, low: float, high: float, about: str, step: float = 0.5
) -> float:
    """The same for a number; one that the address spells wrongly is the default, which is not
    remembered.
    """

    def read(value: Any) -> float | None:
        try:
            return found if low <= (found := float(value)) <= high else None
        except ValueError:
            return None

    _move_default(param, default)
    asked = st.query_params.get(param)
    key = prepare(param, asked, str(default), lambda value: read(value) is not None)
    st.session_state[key] = read(st.session_state[key])
    value = st.number_input(
        label, min_value=low, max_value=high, step=step, format="%.1f", key=key, help=about
    )
    remember(param, None if value == default else f"{value:g}")
    return value


def switch(label: str, param: str) -> bool:
    """The same for a yes or no."""
    asked = st.query_params.get(param)
    key = prepare(param, asked, False, lambda value: value in (True, False, "yes"))
    st.session_state[key] = bool(st.session_state[key])
    on = st.toggle(label, key=key)
    remember(param, "yes" if on else "")
    return on


def choose_track(need: Need | None = None) -> Track:
    """The track picker. Where the track lacks what the page needs, the page says so, names the
    tracks that have it, and ends.
    """
    with reading():
        tracks, errors = queries.tracks()
    for error in errors:
        st.warning(plain(error), icon=":material/error:")
    if not tracks:
        st.info("No track is registered: `registry/tracks/` is empty.")
        end()
    fitting = [name for name, track in tracks.items() if need is None or need.met(track)]
    asked = st.query_params.get("track") or st.session_state.get("chosen track")
    default = DEFAULT_TRACK if DEFAULT_TRACK in fitting else next(iter(fitting), DEFAULT_TRACK)
    if asked not in tracks:
        with reading():
            default = queries.front(fitting) or default
    chosen = choose(
        "Track",
        list(tracks),
        "track",
        default,
        lambda name: f"{tracks[name].title} ({name})",
    )
    if need is not None and chosen not in fitting:
        with reading():
            filled = queries.filled_tracks()
        ready = [name for name in fitting if name in filled]
        others = "With results, these have:" if ready else "These have:" if fitting else "None has."
        st.info(f"This track has no {need.what}. {others}")
        for name in ready or fitting:
            label = plain(f"{tracks[name].title} ({name})")
            st.page_link(st.session_state["page"], label=label, query_params={"track": name})
        end()
    return tracks[chosen]


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
        elsewhere=queries.architecture_names(),
    )


def open_page(page: str, /, **choices: str) -> None:
    """Goes to another page with these choices made there."""
    for param, value in choices.items():
        st.session_state[f"chosen {param}"] = value
        st.session_state.pop(f"widget {param}", None)
    st.switch_page(page)
