"""Where rows lie, which code made them, and what reruns and checks said of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from benchmark.records import registered, reports
from benchmark.records.home import home
from registry.read import shown

from ..words.style import base
from . import queries

KEY = re.compile(r'"key":"([0-9a-f]{16})"')  # of the trial, near a row's beginning


def last_rerun() -> reports.RerunReport | None:
    """What `regbench rerun` last said. Raises InputError where its file is damaged."""
    return reports.last_rerun(home())


def last_checks() -> list[reports.CheckReport]:
    """What `regbench check` last said of each submission. Raises InputError where a file is
    damaged.
    """
    return reports.last_checks(home())


def commits(method: str) -> list[str]:
    """The commits that made the rows of a method and its variants, on any track."""
    keys: set[str] = set()
    for track in queries.tracks()[0].values():
        trials = queries.trials(track)
        keys |= {trial.key for trial in trials if base(trial.entry.regularizer) == method}
    found = queries.trial_rows(keys)
    if found.empty:
        return []
    made = {json.loads(row or "{}").get("commit") for row in found["provenance"]}
    return sorted(filter(None, made))


def files(keys: Iterable[str]) -> dict[str, str]:
    """Key → the folder of a run here, or the file of registered rows that holds it."""
    wanted: set[str] = set(keys)
    found: dict[str, str] = {}
    for path in registered.files():
        with open(path) as lines:
            for line in lines:
                key = KEY.search(line)
                if key is not None and key[1] in wanted:
                    found.setdefault(key[1], shown(path))
    folders = {key: home() / key for key in wanted}
    return found | {key: shown(folder) for key, folder in folders.items() if folder.is_dir()}
