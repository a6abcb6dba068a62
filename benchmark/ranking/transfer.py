"""Which models' adversarial images are tried on which: those of the plain network and of the
yardstick on every other selected model of the same network and seed.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from registry.spec import TRANSFER_FROM, Source, Track, Trial

from .standings import rested_on


def for_transfer(track: Track, trials: Sequence[Trial], scores: pd.DataFrame) -> list[Trial]:
    """The trials that the standings rest on, each with the transfer from the others' sources as all
    of its evaluation; none where it has no source but itself.
    """
    selected = rested_on(track, trials, scores)
    sources: dict[tuple[str, int], dict[str, Source]] = {}
    for trial in selected:
        method = trial.entry.regularizer.partition(":")[0]
        if method in TRANSFER_FROM:
            like = trial.entry.architecture, trial.seed
            source = Source(regularizer=method, key=trial.key)
            sources.setdefault(like, {}).setdefault(method, source)
    asked = []
    for trial in selected:
        known = sources.get((trial.entry.architecture, trial.seed), {}).values()
        others = [source for source in known if source.key != trial.key]
        if others:
            parts = track.transfer(others)
            asked.append(trial.model_copy(update={"evaluation": parts}))
    return asked
