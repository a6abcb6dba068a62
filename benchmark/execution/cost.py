"""What a plan will cost, from what trials like its own have cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from registry.spec import Dataset, Trial

from ..records.store import Store

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class Price:
    """On one kind of device: seconds of work, and the names of what has never run there."""

    seconds: float = 0.0
    unknown: set[str] = field(default_factory=set)


def price(trials: Iterable[Trial], store: Store) -> dict[str, Price]:
    """Device, "cpu" or "cuda" → what the trials will cost on one such device; only devices that
    something has run on.

    A step's cost is the median of trials with the same network and method, on the same dataset
    where there are any; an evaluation's is that of the same dataset and network. Trials that are
    trained already are priced in full.
    """
    costs = store.costs()
    prices: dict[str, Price] = {}
    if costs.empty:
        return prices
    like: dict[tuple[str, str, str], int] = {}  # (dataset, network, method) → steps
    count: dict[tuple[str, str, str], int] = {}
    for trial in trials:
        method = "none" if trial.plugin is None else trial.entry.regularizer
        which = trial.entry.dataset, trial.entry.architecture, method
        phase = "fine_tune" if trial.recipe.has_fine_tune else "reference"
        like[which] = like.get(which, 0) + trial.recipe.iterations(
            phase, trial.recipe.train_size or _images(trial.dataset)
        )
        count[which] = count.get(which, 0) + 1
    for device, known in costs.groupby("device"):
        found = prices[str(device)] = Price()
        for which, steps in like.items():
            dataset, architecture, method = which
            step = _nearest(known, "step", dataset, architecture=architecture, regularizer=method)
            evaluation = _nearest(known, "evaluation", dataset, architecture=architecture)
            if step is None or evaluation is None:
                found.unknown.add(f"{architecture}/{method}")
            else:
                found.seconds += steps * step + count[which] * evaluation
    return prices


def _nearest(known: pd.DataFrame, cost: str, dataset: str, **same: Any) -> float | None:
    for column, value in same.items():
        known = known[known[column] == value]
    here = known[known["dataset"] == dataset]
    values = (here if len(here) else known)[cost]
    return float(values.median()) if len(values) else None


def _images(dataset: Dataset) -> int:
    """Of the training split: about 95 % of the chosen classes'."""
    return round(0.95 * dataset.train_size * dataset.num_classes / len(dataset.classes))
