"""Where a method stands among a track's others, in words: a pure function of the standings and
their scores.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from registry.spec import Track, Trial

from .standings import half_width, selected_trials


def placements(
    track: Track,
    trials: Sequence[Trial],
    table: pd.DataFrame,
    scores: pd.DataFrame,
    names: set[str],
) -> list[str]:
    """One line for each row of `names`: between whom it stands, and from whom it cannot be told.

    Two neighbours are separable where the 95 % interval of their difference, paired by seed, leaves
    out zero.

    Args:
        table, scores: as `rank.standings` and `Store.scores` give them.
        names: regularizers.
    """
    values = (
        scores[
            (scores["threat"] == track.headline)
            & (scores["metric"] == track.headline_metric)
            & (scores["split"] == "test")
        ]
        .drop_duplicates("key")
        .set_index("key")["value"]
    )
    seeds = [
        pd.Series(
            {trial.seed: values[trial.key] for trial in group if trial.key in values.index},
            dtype=float,
        )
        for group in selected_trials(track, trials, table)
    ]
    rows = table.to_dict("records")
    told = []
    for at, row in enumerate(rows):
        if row["regularizer"] not in names:
            continue
        where = f"{row['regularizer']} on {track.name}, {row['architecture']}"
        if pd.isna(row["rank"]):
            told.append(f"{where}: not ranked: {row['why']}")
            continue
        ranked = [
            i
            for i, other in enumerate(rows)
            if other["architecture"] == row["architecture"] and pd.notna(other["rank"])
        ]
        above = [i for i in ranked if i < at]
        below = [i for i in ranked if i > at]
        told.append(
            f"{where}: {_share(row[track.headline], track)} under {track.headline} at λ = {row['lambda']:g}, "
            f"rank {row['rank']} of {len(ranked)}, {_between(rows, above, below)}{_apart(rows, seeds, at, ranked)}"
        )
    return told


def _share(value: float, track: Track) -> str:
    return f"{value:.1%}" if track.headline_threat.epsilon is not None else f"‖r‖/‖x‖ = {value:.3f}"


def _between(rows: list[dict], above: list[int], below: list[int]) -> str:
    if above and below:
        return f"between {rows[above[-1]]['regularizer']} and {rows[below[0]]['regularizer']}"
    if above:
        return f"below {rows[above[-1]]['regularizer']}"
    return f"above {rows[below[0]]['regularizer']}" if below else "alone"


def _apart(rows: list[dict], seeds: list[pd.Series], at: int, ranked: list[int]) -> str:
    alike, unknown = [], False
    for i in ranked:
        if i == at:
            continue
        difference = (seeds[at] - seeds[i]).dropna()
        if len(difference) < 2:
            unknown = True
        elif abs(difference.mean()) <= half_width(difference):
            alike.append(rows[i]["regularizer"])
    if unknown:
        return "; one seed cannot tell methods apart"
    if alike:
        return f"; not separable from {', '.join(alike)} at 95 %"
    return "; separable from every other at 95 %" if len(ranked) > 1 else ""
