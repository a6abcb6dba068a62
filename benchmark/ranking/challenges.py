"""Challenges on the board: images that somebody broke count as broken in a row's worst case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from registry.spec import Track, Trial

from ..records.challenges import Accepted
from .both_sides import Images
from .scrutiny import told

REFUTED = "certified_and_broken"
FLAGGED = "flagged: "
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
    for challenge, places in _answering(track, worst, challenges):
        stands = found[challenge.key].copy()
        count = int(stands[places].sum())
        stands[places] = 0.0
        if count:
            found[challenge.key] = stands
            by = fallen.setdefault(challenge.key, {})
            by[challenge.author] = by.get(challenge.author, 0) + count
    return found, fallen


def _answering(
    track: Track, images: Images, challenges: Iterable[Accepted]
) -> Iterator[tuple[Accepted, list[int]]]:
    """The challenges within the ball that ranks, of trials that `images` has values of, each with
    those of its places that are among them.
    """
    for challenge in challenges:
        if challenge.key in images and challenge.answers(track.headline_threat):
            known = len(images[challenge.key])
            yield challenge, [place for place in challenge.images if place < known]


def with_refuted(
    track: Track,
    groups: Sequence[Sequence[Trial]],
    table: pd.DataFrame,
    certified: Images,
    challenges: Iterable[Accepted],
) -> pd.DataFrame:
    """The standings with a flag on every row of which a challenge broke an image that is certified
    at the headline's ε: one of the two is wrong, and the row is not ranked.

    Args:
        groups: as `selected_trials` gives them.
        certified: as `both_sides.certified_at_headline` gives it.
    """
    shares: dict[str, float] = {}
    for challenge, places in _answering(track, certified, challenges):
        proven = certified[challenge.key]
        share = float(proven[places].sum() / len(proven))
        shares[challenge.key] = max(share, shares.get(challenge.key, 0.0))
    found = table.copy()
    for i, group in enumerate(groups):
        values = [share for trial in group if (share := shares.get(trial.key, 0.0)) > 0]
        if values:
            found.loc[i, "flags"] = ", ".join(filter(None, (table["flags"][i], REFUTED)))
            said, why = told({REFUTED: values}, len(group)), table["why"][i]
            if why == "" or why.startswith(FLAGGED):
                found.loc[i, "why"] = f"{why}; {said}" if why else f"{FLAGGED}{said}"
    return found


def with_challengers(
    groups: Sequence[Sequence[Trial]], table: pd.DataFrame, fallen: Fallen
) -> pd.DataFrame:
    """The standings with `challenged`: who broke how many images of a row's models, "" where
    nobody.

    Args:
        groups: as `selected_trials` gives them.
    """
    challenged = []
    for group in groups:
        by: dict[str, int] = {}
        for trial in group:
            for author, count in fallen.get(trial.key, {}).items():
                by[author] = by.get(author, 0) + count
        challenged.append(", ".join(f"{author} ({count} images)" for author, count in by.items()))
    return table.assign(challenged=challenged)
