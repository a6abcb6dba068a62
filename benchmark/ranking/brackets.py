"""Robustness from both sides: what is proven within a radius, and what no attack has broken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from registry.spec import Part, Radius, Track, Trial

from ..records.store import Store
from .selection import selected_trials

COLUMNS = ["key", "regularizer", "lambda", "seed", "epsilon", "images", "certified", "worst"]
SELECTED = ["method", "lambda", "epsilon", "certified", "worst", "seeds", "images"]
METRICS = ("certified", "correct", "distance")
Known = Mapping[tuple[str, str], np.ndarray]  # (part's name, metric) → one value an image


def brackets(track: Track, trials: Sequence[Trial], store: Store) -> pd.DataFrame:
    """One row a trial and radius of the track's certificates: of their images the share
    `certified`, NaN for a network that cannot be bounded, and `worst`, which no attack has broken.

    Nothing of trials that have not been certified.
    """
    known = _known({trial.key for trial in trials}, store)
    rows = []
    for trial, extended in zip(trials, track.with_tiers(trials)):
        asked = track.certificates(trial.dataset.test_size)
        mine = known.get(trial.key, {})
        if not any((part.name, "distance") in mine for part in asked):
            continue
        for part in asked:
            if part.radius is None:
                continue
            proven = mine.get((part.name, "certified"))
            unbroken = stands(extended.evaluation, mine, part.radius, part.examples)
            rows.append(
                {
                    "key": trial.key,
                    "regularizer": trial.entry.regularizer,
                    "lambda": trial.entry.strength,
                    "seed": trial.seed,
                    "epsilon": part.radius.epsilon,
                    "images": len(unbroken),
                    "certified": np.nan if proven is None else float(proven.mean()),
                    "worst": float(unbroken.mean()),
                }
            )
    return pd.DataFrame(rows, columns=COLUMNS)


def at_selected(
    trials: Sequence[Trial], known: pd.DataFrame, standings: pd.DataFrame
) -> pd.DataFrame:
    """One row a method and ε, rising: means over seeds of both ends, each seed at the λ that the
    board scores it at: SELECTED. Only methods of which all seeds have certificates.

    Args:
        known: as `brackets` gives it.
        standings: of one architecture.
    """
    found = []
    for row, group in zip(standings.to_dict("records"), selected_trials(trials, standings)):
        keys = {trial.key for trial in group}
        mine = known[known["key"].isin(keys)].drop_duplicates(["key", "epsilon"])
        if not keys or mine["key"].nunique() < len(keys):
            continue
        means = mine.groupby("epsilon", as_index=False)[["certified", "worst", "images"]].mean()
        labels = {"method": row["regularizer"], "lambda": row["lambda"], "seeds": len(keys)}
        found.append(means.assign(**labels)[SELECTED])
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=SELECTED)


def stands(parts: Iterable[Part], known: Known, radius: Radius, images: int) -> np.ndarray:
    """[N ≤ images] bool: classified correctly, and broken by none of the attacks that stayed within
    the radius or found a smaller perturbation.

    An attack on fewer images says nothing of the others. An ℓ∞ ball holds the ℓ2 ball of the same
    radius.
    """
    found = np.ones(images, bool)
    norms = ("inf", "2") if radius.norm == "inf" else ("2",)
    seen = 0
    for part in parts:
        if part.split != "test":
            continue
        threat = part.threat
        if part.name == "clean":
            unbroken = known.get(("clean", "correct"))
        elif threat is None or threat.norm not in norms:
            continue
        elif threat.epsilon is None:
            distance = known.get((part.name, "distance"))
            unbroken = None if distance is None else distance > radius.epsilon
        else:
            within = threat.epsilon <= radius.epsilon
            unbroken = known.get((part.name, "correct")) if within else None
        if unbroken is not None:
            looked_at = min(len(unbroken), images)
            found[:looked_at] &= unbroken[:looked_at] > 0
            seen = max(seen, looked_at)
    return found[:seen]


def _known(keys: set[str], store: Store) -> dict[str, dict[tuple[str, str], np.ndarray]]:
    """Key → its values per test image; of several samples the largest."""
    known: dict[str, dict[tuple[str, str], np.ndarray]] = {}
    for metric in METRICS:
        table = store.examples(keys, metric)
        if table.empty:
            continue
        table = table.sort_values("examples")
        for key, threat, values in zip(table["key"], table["threat"], table["values"]):
            known.setdefault(key, {})[threat, metric] = np.asarray(values, float)
    return known
