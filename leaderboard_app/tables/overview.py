"""Every track a row, every method a row across tracks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from benchmark.ranking.placement import place, tied
from registry.spec import Track, Trial

from ..words.labels import percent, plain, quantity
from ..words.style import base, ordered

CONTROL, RIVAL = "none", "adversarial_training"
NEWS = 6  # lines


def of_tracks(
    tracks: Mapping[str, Track],
    trials: Mapping[str, Sequence[Trial]],
    known: pd.DataFrame,
    titles: Mapping[str, str],
) -> pd.DataFrame:
    """What each track is and how much of it has run, the one with most rows first.

    Args:
        known: columns key and started (of every trial that has run).
        titles: dataset and architecture ids → what they are called.
    """
    started = dict(zip(known["key"], known["started"])) if len(known) else {}
    rows, counts = {}, {}
    for name, track in tracks.items():
        keys = {trial.key for trial in trials[name]}
        dates = [started[key] for key in keys if key in started]
        counts[name] = len(dates)
        rows[name] = {
            "Track": name,
            "Newest row": max(dates)[:10] if dates else "",
            "Done": 100 * len(dates) // max(1, len(keys)) / 100,  # never 1 before all is
            "Trials": len(keys),
            "Seeds": track.seeds,
            "Data": titles.get(track.dataset, track.dataset),
            "Ranked by": quantity(track, track.ranking),
            "Networks": ", ".join(titles.get(id, id) for id in track.architectures),
        }
    fullest = sorted(counts, key=counts.__getitem__, reverse=True)
    return pd.DataFrame([rows[name] for name in fullest])


def news(
    trials: Mapping[str, Sequence[Trial]], known: pd.DataFrame, titles: Mapping[str, str]
) -> list[str]:
    """What came in last, the newest first: a line for each track and day, at most NEWS.

    Args:
        trials, known, titles: as of `of_tracks`.
    """
    started = dict(zip(known["key"], known["started"])) if len(known) else {}
    found: dict[tuple[str, str], list[Trial]] = {}
    for name, mine in trials.items():
        for trial in mine:
            if day := started.get(trial.key, "")[:10]:
                found.setdefault((day, name), []).append(trial)
    newest = sorted(found.items(), key=lambda item: (item[0][0], len(item[1])), reverse=True)
    return [
        f"{day}: **{plain(name)}**, {_counted(mine, titles)}" for (day, name), mine in newest[:NEWS]
    ]


def _counted(trials: Sequence[Trial], titles: Mapping[str, str]) -> str:
    """`45 trials of 5 methods, 3 seeds, on LeNet-5`."""
    networks = dict.fromkeys(trial.entry.architecture for trial in trials)
    counts = {
        "trial": len({trial.key for trial in trials}),
        "method": len({trial.entry.regularizer for trial in trials}),
        "seed": len({trial.seed for trial in trials}),
    }
    told = {word: f"{count} {word}{'s' * (count != 1)}" for word, count in counts.items()}
    return (
        f"{told['trial']} of {told['method']}, {told['seed']}, on "
        f"{', '.join(plain(titles.get(name, name)) for name in networks)}"
    )


def leaders(track: Track, standings: pd.DataFrame) -> dict[str, str]:
    """Who leads on each network, who cannot be told apart from the leader, and the lowest tier."""
    leads, ties, tiers = [], [], []
    for _, mine in standings.groupby("architecture", sort=False):
        first = mine[mine["rank"] == 1]
        if len(first):
            best = first.iloc[0]
            leads.append(f"{best['regularizer']} {percent(best[track.ranking])}")
            ties.append(tied(first, base) or "none")
            tiers += first["tier"].tolist()
    return {
        "Leader": " · ".join(leads),
        "Ties": " · ".join(ties),
        "Tier": min(tiers, key=("quick", "standard", "verified").index) if tiers else "",
    }


def of_methods(boards: Mapping[str, tuple[Track, pd.DataFrame]]) -> pd.DataFrame:
    """One row a method: its ranks on every track ("1–2 · 3": a network each), how far its score is
    above the control's and adversarial training's (points, where scores are accuracies) and its
    cost: of a track the mean over its networks, then the mean and the median over tracks.

    Args:
        boards: track's name → the track and its standings.
    """
    ranks: dict[str, dict[str, list[str]]] = {}
    numbers, rows = [f"Above {CONTROL}", f"Above {RIVAL}", "Cost ×"], []
    for name, (track, standings) in boards.items():
        scale = 100 if track.headline_metric == "robust_accuracy" else np.nan
        for _, mine in standings.groupby("architecture", sort=False):
            scores = mine.set_index("regularizer")[track.ranking]
            bars = {f"Above {bar}": _bar(scores, bar) for bar in (CONTROL, RIVAL)}
            for row in mine[mine["rank"].notna()].to_dict("records"):
                method = row["regularizer"]
                told = place(row["rank"], row["rank_high"])
                ranks.setdefault(method, {}).setdefault(name, []).append(told)
                above = {bar: scale * (row[track.ranking] - score) for bar, score in bars.items()}
                rows.append({"Method": method, "Track": name, "Cost ×": row["cost"]} | above)
    found = pd.DataFrame(rows, columns=["Method", "Track", *numbers])
    of_tracks = found.groupby(["Method", "Track"])[numbers].mean().groupby("Method")
    averages = of_tracks.mean().assign(**{"Cost ×": of_tracks["Cost ×"].median()})
    table = [
        {"Method": method}
        | averages.loc[method].to_dict()
        | {name: " · ".join(ranks[method].get(name, [])) for name in boards}
        for method in ordered(ranks)
    ]
    return pd.DataFrame(table)


def _bar(scores: pd.Series, method: str) -> float:
    """The best score of a method and its variants."""
    mine = scores[[base(name) == method for name in scores.index]].dropna()
    return float(mine.max()) if len(mine) else np.nan
