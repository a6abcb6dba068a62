"""What rounding does to a trial's scores, learned by running it with its last bits perturbed.

Another processor sums in another order. That changes the last bits of a gradient, and training
makes of them what it makes: of the methods of one small track the scores of some then differ in the
eighth digit, those of others as much as with another seed. So the spread is learned of each entry.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from registry.select import with_references
from registry.spec import Trial

from ..records.home import TrialFolder
from ..records.outcome import Outcome, Score
from .local import run_local

JUDGED = ("accuracy", "robust_accuracy", "relative_distance")  # on test images
# Each has the libraries of torch choose other kernels, as on another processor, and with them other
# orders of summation: ATen and oneDNN, or MKL; on a GPU cuBLAS.
PERTURBATIONS = (
    {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "TORCH_BLAS_PREFER_CUBLASLT": "1",
    },
    {"MKL_CBWR": "COMPATIBLE", "DISABLE_ADDMM_CUDA_LT": "1"},
)
RESOLUTION = 1e-6  # of a distance, relative: some units in the last place of float32

Name = tuple[str, str, str, int]


def name_of(score: Score) -> Name:
    """What a score has in common with that of another run."""
    return score.threat, score.split, score.metric, score.examples


def judged(outcome: Outcome) -> dict[Name, Score]:
    """The scores by which it is told whether a trial came out again."""
    return {
        name_of(score): score
        for score in outcome.scores
        if score.split == "test" and score.metric in JUDGED
    }


@dataclass(frozen=True)
class Spread:
    """By how much the scores of a trial differ from run to run: standard deviations.

    flips: of shares, times √n: a share of n images scatters by flips / √n. distances: of each
        distance, relative to its value.
    """

    flips: float = 0.0
    distances: dict[Name, float] | None = None

    @classmethod
    def of(cls, trials: Iterable[Sequence[Outcome]]) -> Spread:
        """Pooled over trials, and all shares of images together, as each tells little.

        Args:
            trials: of each the outcomes of runs that differ in their last bits only.
        """
        shares: list[tuple[float, int]] = []
        distances: dict[Name, list[tuple[float, int]]] = {}
        for runs in trials:
            scores = [judged(run) for run in runs if run.status == "finished"]
            for name in set(scores[0]).intersection(*scores[1:]) if scores else ():
                same = [found[name] for found in scores]
                if same[0].metric == "relative_distance":
                    size = max(abs(score.value) for score in same) or 1.0
                    relative = _squares([score.value / size for score in same])
                    distances.setdefault(name, []).append(relative)
                else:
                    shares.append(_squares([s.value * math.sqrt(s.n) for s in same]))
        return cls(_pooled(shares), {name: _pooled(found) for name, found in distances.items()})

    def at(self, score: Score) -> float:
        """Of one score: no less than it resolves, half an image or RESOLUTION."""
        if score.metric == "relative_distance":
            relative = (self.distances or {}).get(name_of(score), 0.0)
            return max(relative, RESOLUTION) * abs(score.value)
        return max(self.flips / math.sqrt(score.n), 0.5 / score.n)


def _squares(values: list[float]) -> tuple[float, int]:
    """The sum of squares about the mean, and its degrees of freedom; none of what is not finite."""
    if not all(map(math.isfinite, values)):
        return 0.0, 0
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values), len(values) - 1


def _pooled(squares: list[tuple[float, int]]) -> float:
    freedom = sum(count for _, count in squares)
    return math.sqrt(sum(total for total, _ in squares) / freedom) if freedom else 0.0


class Twins:
    """Runs of trials with their last bits perturbed. They stay in `cache/rounding/` of a home, a
    home for each of PERTURBATIONS, so that none is run twice.
    """

    def __init__(self, home: Path):
        self._homes = [home / "cache" / "rounding" / str(i) for i in range(len(PERTURBATIONS))]
        self._images = home / "cache"

    def known(self, trial: Trial) -> list[Outcome]:
        """What is there of a trial, all of PERTURBATIONS or nothing."""
        found = [TrialFolder(home, trial.key).outcome() for home in self._homes]
        whole = [outcome for outcome in found if outcome is not None and outcome.answers(trial)]
        return whole if len(whole) == len(found) else []

    def run(self, trials: Sequence[Trial], workers: int, device: str) -> None:
        """Runs trials, and before them the references that they start from."""
        for home, perturbation in zip(self._homes, PERTURBATIONS):
            home.mkdir(parents=True, exist_ok=True)
            if not (home / "cache").is_symlink():
                (home / "cache").symlink_to(self._images)
            for _ in run_local(
                references_first(trials), home, workers, device, environment=perturbation
            ):
                pass


def references_first(trials: Iterable[Trial]) -> list[Trial]:
    """The trials in an order in which each follows its reference; one that is not among them is
    trained, and not evaluated.
    """
    mine = {trial.key: trial for trial in trials}
    started_from = {trial.reference.key for trial in mine.values() if trial.reference is not None}
    everyone = [
        mine.get(trial.key, trial.model_copy(update={"evaluation": ()}))
        for trial in with_references(mine.values())
    ]
    return sorted(everyone, key=lambda trial: trial.key not in started_from)
