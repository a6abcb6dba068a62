"""Accuracy against ε: all that was measured at the λ that ranks. Pure functions of tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchmark.ranking.selection import selected_trials
from benchmark.ranking.sweep import METHOD, sweep
from registry.spec import TRANSFER_FROM, Threat, Track, Trial

from ..words.style import base
from .overview import CONTROL, RIVAL
from .samples import scored

COLUMNS = ["method", "lambda", "epsilon", "mean", "low", "high", "seeds", "images"]
Family = tuple[str, str, str]  # attack, norm, loss


def few(ranked: Sequence[str], most: int = 8) -> list[str]:
    """As many methods as a chart can hold: the control, adversarial training, and the first.

    Args:
        ranked: in the order of the standings.
    """
    bars = [name for name in ranked if base(name) in (CONTROL, RIVAL)]
    first = [name for name in ranked if name not in bars]
    kept = {*bars, *first[: max(0, most - len(bars))]}
    return [name for name in ranked if name in kept]


def family(threat: Threat) -> Family:
    """What a curve over ε holds fixed: attack, norm and loss ("" of an attack that has one)."""
    return threat.attack, threat.norm, threat.loss or ""


def measured(trials: Sequence[Trial]) -> dict[str, Threat]:
    """Every threat with an ε that the trials are evaluated under on test images, by its id."""
    parts = [part for trial in trials for part in trial.evaluation if part.split == "test"]
    threats = [part.threat for part in parts if part.threat is not None]
    return {threat.id: threat for threat in threats if threat.epsilon is not None}


def curves(
    trials: Sequence[Trial], rows: pd.DataFrame, standings: pd.DataFrame
) -> dict[Family, pd.DataFrame]:
    """Family → accuracy against ε, each seed at the λ that the leaderboard scores it at, clean
    accuracy at ε = 0: COLUMNS.

    Where two attacks of a family have the same ε, of which one takes more steps or starts, the
    lower accuracy counts.

    Args:
        rows: as `benchmark.ranking.sweep.labelled` gives them, of one architecture.
        standings: of the same architecture.
    """
    accuracies = rows[
        (rows["split"] == "test") & rows["metric"].isin(["accuracy", "robust_accuracy"])
    ]
    images = accuracies.groupby("threat")["examples"].max()
    chosen = dict(zip(standings["regularizer"], standings["lambda"]))
    several = set(zip(*(standings.loc[standings["tried"] > 1, name] for name in METHOD)))
    groups = selected_trials(trials, standings)
    names = {(trial.key, trial.entry.regularizer) for group in groups for trial in group}
    mine = [name in names for name in zip(accuracies["key"], accuracies["regularizer"])]
    # A method's seeds may have different λ: the mean is over seeds all the same.
    table = sweep(accuracies[np.array(mine, bool)].assign(**{"lambda": 0.0}), several)
    table = table.assign(**{"lambda": table["regularizer"].map(chosen)})
    table = table.rename(columns={"regularizer": "method"})
    table = table.assign(images=table["threat"].map(images))
    clean = table[table["threat"] == "clean"].assign(epsilon=0.0)
    families: dict[Family, list[pd.DataFrame]] = {}
    for id, threat in sorted(measured(trials).items()):
        mine = table[table["threat"] == id].assign(epsilon=threat.epsilon)
        if len(mine):
            families.setdefault(family(threat), [clean]).append(mine)
    return {name: _lowest(pd.concat(parts)[COLUMNS]) for name, parts in families.items()}


def _lowest(table: pd.DataFrame) -> pd.DataFrame:
    rising = table.sort_values("mean", kind="stable").drop_duplicates(["method", "epsilon"])
    return rising.sort_values(["method", "epsilon"]).reset_index(drop=True)


def transferred(
    track: Track, trials: Sequence[Trial], rows: pd.DataFrame, standings: pd.DataFrame
) -> pd.DataFrame:
    """One row a method whose selected models were shown other models' adversarial images: the share
    of images on which they are right, in percent, a mean over seeds; in the standings' order.

    Args:
        rows, standings: as for `curves`.
    """
    part = next(iter(track.transfer()), None)
    if part is None:
        return pd.DataFrame()
    test = rows[rows["split"] == "test"]
    mine = scored(test[test["threat"] == part.name], trials, standings, "regularizer")
    own = test[(test["threat"] == track.headline) & (test["metric"] == "robust_accuracy")]
    own = scored(own, trials, standings, "regularizer").assign(metric="own")
    means = pd.concat([own, mine]).groupby(["regularizer", "metric"])["value"].mean().unstack()
    headings = {"own": "Own attack"}
    headings |= {f"robust_accuracy:{name}": f"Images of {name}" for name in TRANSFER_FROM}
    headings |= {"robust_accuracy": "Of both"}
    shown = [name for name in standings["regularizer"] if name in set(mine["regularizer"])]
    table = 100 * means.reindex(index=shown, columns=list(headings))
    return table.rename(columns=headings).rename_axis(index="Method").reset_index()


def as_good_as_linear(table: pd.DataFrame) -> float:
    """The share of images whose distance is within a tenth of the linearised one.

    Args:
        table: columns distance and linearised.
    """
    gap = (table["distance"] - table["linearised"]).abs()
    near = (gap <= 0.1 * table["linearised"].abs()) & np.isfinite(table["linearised"])
    return float(near.mean())
