"""One track's registered scores under the names of its entries, and means over their seeds."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from registry.load import Registry
from registry.spec import Track

from ...records.store import Store
from ..scrutiny import raised_at
from ..selection import seeds_ranked
from ..sweep import half_width, labelled
from ..verdict import Question

EQUIVALENT = 0.02  # accuracies this near to each other count as equal
Asked = tuple[Sequence[Question], str]


@dataclass(frozen=True)
class Claim:
    """What a paper says, and the function that puts it to the rows of a track: the questions that
    must all be answered by yes, and the numbers. No question: the rows cannot decide it.

    learns: a method of which one strength must reach the clean floor for the claim to be judged.
    """

    words: str
    track: str
    judge: Callable[[Rows], Asked]
    learns: str | None = None


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with the half width of its confidence interval."""

    mean: float
    half: float

    @classmethod
    def of(cls, values: pd.Series) -> Interval:
        values = values.dropna()
        return cls(float(values.mean()), half_width(values))

    def __format__(self, spec: str) -> str:
        return f"{self.mean:{spec}} ± {self.half:{spec}}"


class Rows:
    """One track's registered scores under the names of its entries."""

    def __init__(self, track: Track, store: Store):
        self.track, self.store = track, store
        self.trials = [trial for _, trial in Registry().select([track.name]) if not trial.sandboxed]
        self.keys = {trial.key for trial in self.trials}
        self._scores = store.scores(self.keys)
        self.frame = labelled(self.trials, self._scores)

    @cached_property
    def _seeds_ranked(self) -> dict[str, int]:
        return {} if self.frame.empty else seeds_ranked(self.trials, self.frame)

    @cached_property
    def _flagged(self) -> Container[tuple[str, str, float]]:
        """(architecture, regularizer, λ) at which a trial raises a flag, its tier's among them."""
        trials = self.track.with_tiers(self.trials)
        return raised_at(trials, labelled(trials, self._scores))

    @property
    def architectures(self) -> list[str]:
        """The networks that the ranking rests on two seeds or more of, by which an interval can be
        given.
        """
        return [name for name, seeds in self._seeds_ranked.items() if seeds > 1]

    def seeds(
        self,
        regularizer: str,
        strength: float,
        threat: str,
        metric: str,
        split: str = "test",
        architecture: str | None = None,
    ) -> pd.Series:
        """seed → value of one score of one entry."""
        f = self.frame
        mine = f[
            (f["architecture"] == (architecture or self.track.architectures[0]))
            & (f["regularizer"] == regularizer)
            & (f["lambda"] == strength)
            & (f["threat"] == threat)
            & (f["metric"] == metric)
            & (f["split"] == split)
        ]
        return mine.drop_duplicates("seed").set_index("seed")["value"].sort_index()

    def robust(
        self, regularizer: str, strength: float, architecture: str | None = None
    ) -> pd.Series:
        """seed → what the track ranks by."""
        threat, metric = self.track.headline, self.track.headline_metric
        return self.seeds(regularizer, strength, threat, metric, architecture=architecture)

    def clean(
        self,
        regularizer: str,
        strength: float,
        split: str = "test",
        architecture: str | None = None,
    ) -> pd.Series:
        """seed → accuracy without an attack."""
        return self.seeds(regularizer, strength, "clean", "accuracy", split, architecture)

    def strengths(self, regularizer: str) -> list[float]:
        """Every λ of the method in the track, rising."""
        entries = (trial.entry for trial in self.trials)
        return sorted({entry.strength for entry in entries if entry.regularizer == regularizer})

    def learnt(self, regularizer: str, architecture: str | None = None) -> list[float]:
        """The strengths that the board would rank: no seed diverged, none is flagged, and the mean
        reaches the track's clean floor, as a constant model has small margins for no merit.
        """
        where = architecture or self.track.architectures[0]
        found = []
        for strength in self.strengths(regularizer):
            clean = self.clean(regularizer, strength, "validation", where)
            whole = len(clean) >= self._seeds_ranked.get(where, 1)
            flagged = (where, regularizer, strength) in self._flagged
            if whole and not flagged and clean.mean() >= self.track.clean_floor:
                found.append(strength)
        return found

    def left_out(self, regularizer: str, architecture: str | None = None, sign: str = "λ") -> str:
        """What to say of the strengths that are not learnt: in brackets, nothing where there are
        none.
        """
        learnt = self.learnt(regularizer, architecture)
        others = [s for s in self.strengths(regularizer) if s not in learnt]
        if not others:
            return ""
        listed = ", ".join(f"{strength:.3g}" for strength in others)
        why = "diverges, ends below the clean floor or is flagged"
        return f" ({sign} = {listed} {why}, and is left out)"
