"""Selectors, a track's name or a glob of entry ids, → the trials that they name. In an id a track's
name may stand for the data set: entries of that track alone.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from .spec import Entry, InputError, Track, Trial

if TYPE_CHECKING:
    from .load import Registry


def entries(registry: Registry, selectors: Iterable[str]) -> list[tuple[str, Entry]]:
    """Track name and entry, each once, in the order of the selectors. Raises InputError where a
    selector names nothing, with the nearest name.
    """
    chosen: dict[tuple[str, str], Entry] = {}
    for selector in selectors:
        found = _matching(registry, selector)
        chosen |= {(name, entry.id): entry for name, entry in found}
    return [(name, entry) for (name, _), entry in chosen.items()]


def with_references(trials: Iterable[Trial]) -> list[Trial]:
    """The trials and the references that they fine-tune, each once."""
    found: dict[str, Trial] = {}
    for trial in trials:
        for one in (trial, trial.reference):
            if one is not None:
                found.setdefault(one.key, one)
    return list(found.values())


def trial(registry: Registry, name: str, seed: int) -> Trial:
    """The one trial of an entry's id, `digits/lenet_300_100/jacobian/0.1`, or of an entry within a
    track, whose name stands for the data set: `quickstart/lenet_300_100/jacobian/0.1`.

    Raises InputError where the name means no trial, or trials of several tracks that differ, or no
    track has the seed.
    """
    found: dict[str, tuple[str, Trial]] = {}
    seeds = 0
    for track_name, entry in _everything(registry):
        if name in (entry.id, _within(track_name, entry)):
            track = registry.track(track_name)
            seeds = max(seeds, track.seeds)
            one = registry.trial(entry, track, seed)
            found.setdefault(one.key, (track_name, one))
    if not found:
        _matching(registry, name)  # names the nearest entry
        raise InputError(f"{name!r} is no entry; name data set, architecture, method and λ")
    if len(found) > 1:
        tracks = [track for track, _ in found.values()]
        raise InputError(
            f"{name} is trained differently in the tracks {', '.join(tracks)}; name one in place "
            f"of the data set: {'/'.join([tracks[0], *name.split('/')[1:]])}"
        )
    if seed >= seeds:
        raise InputError(f"seed must be at most {seeds - 1}, not {seed}: {name} has {seeds} seeds")
    ((_, only),) = found.values()
    return only


def _matching(registry: Registry, selector: str) -> list[tuple[str, Entry]]:
    is_name = "/" not in selector and not any(sign in selector for sign in "*?[")
    if is_name:
        track = registry.track(selector)
        return [(track.name, entry) for entry in registry.entries(track.name)]
    everything = list(_everything(registry))
    found = [
        (name, entry)
        for name, entry in everything
        if any(fnmatchcase(one, selector) for one in (name, entry.id, _within(name, entry)))
    ]
    if not found:
        ids = {one for name, entry in everything for one in (entry.id, _within(name, entry))}
        (nearest,) = difflib.get_close_matches(selector, ids, 1, 0) or ["none"]
        raise InputError(
            f"no track and no entry matches {selector!r}; the nearest is {nearest!r}, "
            "and `regbench list entries` shows all"
        )
    return found


def _within(track: str, entry: Entry) -> str:
    """An entry's id with its track in place of the data set."""
    return "/".join([track, *entry.id.split("/")[1:]])


def _everything(registry: Registry) -> Iterator[tuple[str, Entry]]:
    for name in registry.track_names:
        for entry in registry.entries(name):
            yield name, entry


def trials(
    registry: Registry, chosen: Iterable[tuple[str, Entry]], seeds: int | None
) -> Iterator[tuple[Track, Trial]]:
    """One a seed of each entry's track, or of its first `seeds`."""
    # Trials that differ in λ and seed alone are copies of one.
    like: dict[tuple[str, str, str, bool], Trial] = {}
    for name, entry in chosen:
        track = registry.track(name)
        method = name, entry.architecture, entry.regularizer, entry.strength == 0
        if method not in like:
            like[method] = registry.trial(entry, track, 0)
        for seed in range(min(seeds or track.seeds, track.seeds)):
            yield track, like[method].model_copy(update={"entry": entry, "seed": seed})
