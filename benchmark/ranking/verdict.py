"""Four answers to a claim: shown, refuted, not decided, not run.

"No" is not the synonym of "not decided": three seeds that scatter leave open what thirty may show.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import nctdtr, stdtr, stdtrit

from .comparison import holm
from .scatter import moderated

Word = Literal["shown", "refuted", "not decided", "not run"]
POWER = 0.8
MOST_SEEDS = 1000  # beyond it no number of seeds is named


@dataclass(frozen=True)
class Question:
    """Of a paired difference: is its mean above 0 or, with a `margin`, within ± margin?

    differences: seed → value.
    """

    differences: pd.Series
    margin: float | None = None

    @property
    def level(self) -> float:
        """Of each one-sided test: that of a 95 % interval, and of two one-sided tests (Schuirmann
        1987).
        """
        return 0.025 if self.margin is None else 0.05


@dataclass(frozen=True)
class Answer:
    """What is said of one question of a claim.

    half_width: of the interval of its mean that lies above 0, or within ± margin, where the answer
        is yes: 95 %, or 90 % with a margin.
    p: how likely so much would be said for yes were it false; NaN both where the scatter over seeds
        is not known.
    """

    word: Word
    half_width: float = math.nan
    p: float = math.nan


@dataclass(frozen=True)
class Verdict:
    """What the questions of a claim say together.

    answers: of each question.
    seeds: where nothing is decided, how many seeds would decide with a power of 80 % if means and
        scatter are what they now seem; None where more than MOST_SEEDS would.
    """

    word: Word
    answers: tuple[Answer, ...] = ()
    seeds: int | None = None

    def __str__(self) -> str:
        if self.word != "not decided":
            return self.word
        if self.seeds is None:
            return "not decided"
        return f"not decided (about {self.seeds} seeds would)"


def verdict(questions: Sequence[Question]) -> Verdict:
    """A claim is shown where every question is answered by yes, each at its own level
    (intersection-union, which needs no correction), and refuted where one is answered by no, at 5 %
    for all of them (Holm). The scatter over seeds is moderated over the questions (`scatter`).

    statsmodels has the two one-sided tests (`ttost_paired`), scipy those of one direction: neither
    takes a variance that is moderated.
    """
    if not questions:
        return Verdict("not decided")
    values = [question.differences.dropna().to_numpy(float) for question in questions]
    if not all(len(found) for found in values):
        words: list[Word] = ["not decided" if len(found) else "not run" for found in values]
        return Verdict("not run", tuple(map(Answer, words)))
    seeds = np.array([len(found) for found in values], float)
    mean = np.array([found.mean() for found in values])
    raw = np.array([found.var(ddof=1) if len(found) > 1 else np.nan for found in values])
    variance, freedom = moderated(raw, seeds - 1, most=(seeds - 1).sum())
    if not (freedom > 0).all():
        return Verdict("not decided", (Answer("not decided"),) * len(questions))
    error = np.sqrt(variance / seeds)
    yes, no = np.empty(len(mean)), np.empty(len(mean))
    for i, question in enumerate(questions):
        yes[i], no[i] = _p_values(mean[i], error[i], freedom[i], question.margin)
    level = np.array([question.level for question in questions])
    width = stdtrit(freedom, 1 - level) * error
    shown, refuted = yes < level, holm(np.minimum(2 * no, 1)) < 0.05
    words = np.select([refuted, shown], ["refuted", "shown"], "not decided").tolist()
    answers = tuple(map(Answer, words, width.tolist(), yes.tolist()))
    if refuted.any() or shown.all():
        return Verdict("refuted" if refuted.any() else "shown", answers)
    needed = [
        _seeds(mean[i], variance[i], question)
        for i, question in enumerate(questions)
        if not shown[i]
    ]
    most = None if None in needed else max(n for n in needed if n is not None)
    return Verdict("not decided", answers, most)


def _p_values(
    mean: float, error: float, freedom: float, margin: float | None
) -> tuple[float, float]:
    """One-sided, of a yes and of a no: how likely so much would be said for it were it false."""
    if margin is None:
        below = _below(-mean, error, freedom)
        return below, 1 - below
    inside = max(_below(-mean - margin, error, freedom), _below(mean - margin, error, freedom))
    outside = min(_below(margin - mean, error, freedom), _below(margin + mean, error, freedom))
    return inside, outside


def _below(distance: float, error: float, freedom: float) -> float:
    """Student's distribution function at distance / error; of no error a step."""
    if error > 0:
        return float(stdtr(freedom, distance / error))
    return float(np.heaviside(distance, 0.5))


def _seeds(mean: float, variance: float, question: Question) -> int | None:
    """How many seeds would answer it, either way, with a power of 80 %: by scipy's noncentral
    distribution, as statsmodels' `TTestPower` does for means against 0 alone.
    """
    away = abs(mean) if question.margin is None else abs(question.margin - abs(mean))
    for n in range(2, MOST_SEEDS + 1):
        critical = stdtrit(n - 1, 1 - question.level)
        noncentrality = away * np.sqrt(n / max(variance, 1e-300))
        if 1 - float(nctdtr(n - 1, min(noncentrality, 1e3), critical)) >= POWER:
            return n
    return None
