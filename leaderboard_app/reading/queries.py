"""What the pages know: the registry and the database, read anew when their files change and never
held open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

import pandas as pd
import streamlit as st

from benchmark.execution import runner
from benchmark.ranking.board import board
from benchmark.ranking.brackets import brackets as ranking_brackets
from benchmark.ranking.scrutiny import raised_at
from benchmark.ranking.sweep import labelled
from benchmark.records import reports
from benchmark.records.home import home
from benchmark.records.registered import open_store
from benchmark.records.store import Store
from registry.spec import InputError, Track, Trial

from .registries import Version, registry, registry_of, registry_version, state_of

PATIENCE = 3.0  # seconds to wait for a writer, who holds the file for some 50 ms at a time


def store() -> Store:
    """What the pages read: the local database, and the registered results where it lacks rows or is
    not there.
    """
    return open_store(patience=PATIENCE)


def version() -> Version:
    """Changes whenever what is read does; "" where there is nothing."""
    return state_of([*store().files, home() / reports.RERUN])


def tracks() -> tuple[dict[str, Track], list[str]]:
    """The tracks by name, and a line about each that cannot be read."""
    known, found, errors = registry(), {}, []
    for name in known.track_names:
        try:
            found[name] = known.track(name)
        except InputError as error:
            errors.append(str(error))
    return found, errors


def methods_of(track: Track) -> list[str]:
    """The track's methods and variants, submitted ones too, in the order of its entries."""
    return list(dict.fromkeys(entry.regularizer for entry in registry().entries(track.name)))


def method_names() -> list[str]:
    """Every method, and every variant that a track holds."""
    return _method_names(registry_version())


@st.cache_resource(show_spinner=False, max_entries=1)
def _method_names(registered: Version) -> list[str]:
    known, (readable, _) = registry_of(registered), tracks()
    names = {entry.regularizer for track in readable for entry in known.entries(track)}
    return sorted(names | set(known.regularizer_folders))


def radii() -> set[str]:
    """The methods whose strength is a radius, as their cards say."""
    known = registry()
    means = {name: known.regularizer(name).card.lambda_means for name in known.regularizer_folders}
    return {name for name, words in means.items() if words.startswith("radius ε")}


def architecture_names() -> list[str]:
    """Every architecture that a track holds."""
    return sorted({name for track in tracks()[0].values() for name in track.architectures})


def trials(track: Track) -> list[Trial]:
    """Every trial of a track."""
    return _trials(registry_version(), track.name)


@st.cache_resource(show_spinner=False, max_entries=64)
def _trials(registered: Version, name: str) -> list[Trial]:
    return [trial for _, trial in registry_of(registered).select([name])]


def filled_tracks() -> set[str]:
    """The tracks that have any result."""
    keys = {name: {trial.key for trial in trials(track)} for name, track in tracks()[0].items()}
    found = first_runs(set().union(*keys.values()))
    have = set(found["key"]) if len(found) else set()
    return {name for name, mine in keys.items() if mine & have}


def front(names: Iterable[str]) -> str:
    """Of the tracks that have any result the one that compares the most methods; "" where none
    has.
    """
    known = tracks()[0]
    for name in sorted(names, key=lambda name: -len(methods_of(known[name]))):
        if len(first_runs(trial.key for trial in trials(known[name]))):
            return name
    return ""


def scores(track: Track) -> pd.DataFrame:
    """As Store.scores gives them, for all of the track's trials. Raises InputError where the
    database cannot be read.
    """
    keys = tuple(sorted({trial.key for trial in trials(track)}))
    return _scores(version(), keys).copy(deep=False)


# Tables of so many rows are slow to pickle, as `cache_data` would. A shallow copy of one keeps what
# a page writes to it to itself: pandas copies on write.
@st.cache_resource(show_spinner=False, max_entries=8)
def _scores(version: Version, keys: tuple[str, ...]) -> pd.DataFrame:
    return store().scores(keys)


def standings(track: Track) -> pd.DataFrame:
    """The rows of `regbench rank`."""
    return _standings(version(), registry_version(), track.name, scores)


def boards(tracks: Iterable[Track]) -> dict[str, pd.DataFrame]:
    """Name → standings of several tracks, whose scores are read at once."""
    tracks = list(tracks)
    keys = {track.name: {trial.key for trial in trials(track)} for track in tracks}

    @cache
    def together() -> pd.DataFrame:
        return store().scores(set().union(*keys.values()))

    def its(track: Track) -> pd.DataFrame:
        everything = together()
        return (
            everything[everything["key"].isin(keys[track.name])] if len(everything) else everything
        )

    seen = version(), registry_version()
    return {track.name: _standings(*seen, track.name, its) for track in tracks}


@st.cache_data(show_spinner=False, max_entries=32)
def _standings(
    version: Version, registered: Version, name: str, _scores: Callable[[Track], pd.DataFrame]
) -> pd.DataFrame:
    track = registry_of(registered).track(name)
    return board(track, trials(track), store(), _scores(track))


def rows(track: Track) -> pd.DataFrame:
    """One row a score and entry, under the entry's names: `ranking.sweep.labelled`."""
    return _rows(version(), registry_version(), track.name).copy(deep=False)


@st.cache_resource(show_spinner=False, max_entries=8)
def _rows(version: Version, registered: Version, name: str) -> pd.DataFrame:
    track = registry_of(registered).track(name)
    return labelled(track.with_tiers(trials(track)), scores(track))


def flags(track: Track) -> dict[tuple[str, str, float], list[str]]:
    """(architecture, method, λ) → its flags: `ranking.scrutiny.raised_at`."""
    return _flags(version(), registry_version(), track.name)


@st.cache_data(show_spinner=False, max_entries=8)
def _flags(
    version: Version, registered: Version, name: str
) -> dict[tuple[str, str, float], list[str]]:
    track = registry_of(registered).track(name)
    return raised_at(track.with_tiers(trials(track)), rows(track))


def brackets(track: Track) -> pd.DataFrame:
    """What is proven and what not broken, a row a trial and radius: `ranking.brackets.brackets`."""
    return _brackets(version(), registry_version(), track.name)


@st.cache_data(show_spinner=False, max_entries=8)
def _brackets(version: Version, registered: Version, name: str) -> pd.DataFrame:
    track = registry_of(registered).track(name)
    return ranking_brackets(track, trials(track), store())


def examples(
    keys: Iterable[str], metric: str, split: str = "test", threat: str | None = None
) -> pd.DataFrame:
    """Per-example values: columns key, threat, values; of a model's samples the largest."""
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
    """`Store.layers`: per-layer singular values."""
    return _of_store(version(), "layers", tuple(sorted(set(keys))))


def trial_rows(keys: Iterable[str]) -> pd.DataFrame:
    """`Store.trials`: what is known of each trial."""
    return _of_store(version(), "trials", tuple(sorted(set(keys))))


def attempts(keys: Iterable[str]) -> pd.DataFrame:
    """`Store.attempts`: every run of the trials."""
    return _of_store(version(), "attempts", tuple(sorted(set(keys))))


def first_runs(keys: Iterable[str]) -> pd.DataFrame:
    """`Store.first_runs`: which trials are known, and since when."""
    return _of_store(version(), "first_runs", tuple(sorted(set(keys))))


@st.cache_data(show_spinner=False, max_entries=16)
def _of_store(version: Version, question: str, keys: tuple[str, ...]) -> pd.DataFrame:
    return getattr(store(), question)(keys)


def titles() -> dict[str, str]:
    """What datasets and architectures are called, by their ids on the tracks."""
    known, found = registry(), {}
    for track in tracks()[0].values():
        data = known.dataset(track.dataset)
        classes = f", {data.num_classes} classes" if data.subset else ""
        found[track.dataset] = f"{data.title}{classes}"
        found |= {id: known.architecture(id).title for id in track.architectures}
    return found


def sources(keys: Iterable[str]) -> dict[str, str]:
    """Key → whose word a row is: `Store.sources`."""
    return store().sources(sorted(set(keys)))


def plan(track: Track) -> runner.Plan:
    """What `regbench plan` counts: the track's trials and their references, and those that are
    still to run.
    """
    return runner.plan(trials(track), store())
