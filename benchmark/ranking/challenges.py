"""Challenges on the board: images that somebody broke count as broken in a row's worst case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from registry.spec import Track, Trial

from ..records.challenges import Accepted

Fallen = Mapping[str, Mapping[str, int]]  # key → challenger → images that only they broke


def fell(
    track: Track, worst: Mapping[str, np.ndarray], challenges: Iterable[Accepted]
) -> tuple[dict[str, np.ndarray], Fallen]:
    """The worst cases less the images that challenges broke within the ball that ranks, and who
    broke how many that all attacks, and earlier challenges, had left.

    Args:
        worst: key → [N], 1 where the model withstands all attacks, as `both_sides.worst_cases` has.
    """
    found, fallen = dict(worst), {}
    for challenge in challenges:
        if challenge.key not in found or not challenge.answers(track.headline_threat):
            continue
        stands = found[challenge.key].copy()
        places = [place for place in challenge.images if place < len(stands)]
        count = int(stands[places].sum())
        stands[places] = 0.0
        if count:
            found[challenge.key] = stands
            by = fallen.setdefault(challenge.key, {})
            by[challenge.author] = by.get(challenge.author, 0) + count
    return found, fallen


def with_challengers(
    groups: Sequence[Sequence[Trial]], table: pd.DataFrame, fallen: Fallen
) -> pd.DataFrame:
    """The standings with `challenged`: who broke how many images of a row's models, "" where
    nobody.

    Args:
        groups: as `selected_trials` gives them.
    """
    told = []
    for group in groups:
        by: dict[str, int] = {}
        for trial in group:
            for author, count in fallen.get(trial.key, {}).items():
                by[author] = by.get(author, 0) + count
        told.append(", ".join(f"{author} ({count} images)" for author, count in by.items()))
    return table.assign(challenged=told)
