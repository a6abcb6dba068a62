"""What the pages know: the registry and the database, read anew when their files change and never
held open.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import pandas as pd
import streamlit as st

from benchmark.execution import runner
from benchmark.ranking.board import board
from benchmark.ranking.standings import labelled
from benchmark.records import reports
from benchmark.records.home import home
from benchmark.records.registered import open_store
from benchmark.records.store import Store
from registry.load import Registry
from registry.places import HERE, submissions
from registry.spec import InputError, Track, Trial

PATIENCE = 3.0  # seconds to wait for a writer, who holds the file for some 50 ms at a time
Version = tuple[tuple[str, int, int], ...]


def _state(paths: Iterable[Path]) -> Version:
    found = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue
        found.append((str(path), status.st_mtime_ns, status.st_size))
    return tuple(found)


def store() -> Store:
    """What the pages read: the local database, and the registered results where it lacks rows or is
    not there.
    """
    return open_store(patience=PATIENCE)


def version() -> Version:
    """Changes whenever what is read does; empty where there is nothing."""
    return _state([*store().files, home() / reports.RERUN])


def last_rerun() -> reports.RerunReport | None:
    """What `regbench rerun` last said. Raises InputError where its file is damaged."""
    return reports.last_rerun(home())


def last_checks() -> list[reports.CheckReport]:
    """What `regbench check` last said of each submission. Raises InputError where a file is
    damaged.
    """
    return reports.last_checks(home())


def registry() -> Registry:
    return _registry(registry_version())


def registry_version() -> Version:
    """Changes whenever a registered or submitted file does."""
    files = (path for folder in (HERE, submissions()) for path in folder.rglob("*.*"))
    return _state(sorted(path for path in files if path.suffix in (".toml", ".py")))


@st.cache_resource(show_spinner=False, max_entries=1)
def _registry(version: Version) -> Registry:
    return Registry()


def tracks() -> tuple[dict[str, Track], list[str]]:
    """The tracks by name, and a line about each that cannot be read."""
    known, found, errors = registry(), {}, []
    for name in known.track_names:
        try:
            found[name] = known.track(name)
        except InputError as error:
            errors.append(str(error))
    return found, errors


def trials(track: Track) -> list[Trial]:
    return _trials(registry_version(), track.name)


@st.cache_resource(show_spinner=False, max_entries=64)
def _trials(registered: Version, name: str) -> list[Trial]:
    return [trial for _, trial in _registry(registered).select([name])]


def scores(track: Track) -> pd.DataFrame:
    """As Store.scores gives them, for all of the track's trials. Raises InputError where the
    database cannot be read.
    """
    return _scores(version(), tuple(sorted({trial.key for trial in trials(track)})))


@st.cache_data(show_spinner=False, max_entries=8)
def _scores(version: Version, keys: tuple[str, ...]) -> pd.DataFrame:
    return store().scores(keys)


def standings(track: Track) -> pd.DataFrame:
    """The rows of `regbench rank`."""
    return _standings(version(), registry_version(), track.name)


@st.cache_data(show_spinner=False, max_entries=32)
def _standings(version: Version, registered: Version, name: str) -> pd.DataFrame:
    track = _registry(registered).track(name)
    return board(track, trials(track), store(), scores(track))


def rows(track: Track) -> pd.DataFrame:
    """One row a score and entry, under the entry's names: `benchmark.ranking.standings.labelled`."""
    return _rows(version(), registry_version(), track.name)


@st.cache_data(show_spinner=False, max_entries=8)
def _rows(version: Version, registered: Version, name: str) -> pd.DataFrame:
    track = _registry(registered).track(name)
    return labelled(trials(track), scores(track))


def examples(
    keys: Iterable[str], metric: str, split: str = "test", threat: str | None = None
) -> pd.DataFrame:
    """Per-example values: columns key, threat, values; of several samples of one model the largest."""
    found = _examples(version(), tuple(sorted(set(keys))), metric, split)
    if found.empty:
        return pd.DataFrame(columns=["key", "threat", "values"])
    if threat is not None:
        found = found[found["threat"] == threat]
    return found.sort_values("examples").drop_duplicates(["key", "threat"], keep="last")[
        ["key", "threat", "values"]
    ]


@st.cache_data(show_spinner=False, max_entries=32)
def _examples(version: Version, keys: tuple[str, ...], metric: str, split: str) -> pd.DataFrame:
    return store().examples(keys, metric, split)


def layers(keys: Iterable[str]) -> pd.DataFrame:
    """Per-layer singular values: columns key, layer, kind, metric, value."""
    return _table(version(), "layers", tuple(sorted(set(keys))))


def trial_rows(keys: Iterable[str]) -> pd.DataFrame:
    """What is known of each trial, provenance and all."""
    return _table(version(), "trials", tuple(sorted(set(keys))))


def attempts(keys: Iterable[str]) -> pd.DataFrame:
    """Every run of the trials, the latest first, also those that failed."""
    return _table(version(), "attempts", tuple(sorted(set(keys))))


@st.cache_data(show_spinner=False, max_entries=16)
def _table(
    version: Version, name: Literal["layers", "trials", "attempts"], keys: tuple[str, ...]
) -> pd.DataFrame:
    return getattr(store(), name)(keys)


def plan(track: Track) -> runner.Plan:
    """What `regbench plan` counts: the track's trials and their references, and those that are
    still to run.
    """
    return runner.plan(trials(track), store())
