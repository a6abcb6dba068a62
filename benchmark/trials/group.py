"""Trials that differ in λ and seed only, trained and attacked as one model where that pays, then
each evaluated, here or elsewhere.
"""

from __future__ import annotations

import copy
import dataclasses
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from registry.spec import Trial

from ..records.home import TrialFolder
from ..records.outcome import Outcome
from ..training.loop import Training
from ..training.stacked import stackable, train_stacked
from . import run as single

MEMORY_SHARE = 0.7  # of the device's free memory that a stack may take


def configure() -> None:
    """Of the process that runs groups, once: what makes a trial repeat, and its gradients exact."""
    # Two workers' threads on few cores hinder each other, and sums depend on their number.
    torch.set_num_threads(1)
    # Convolutions of 10 bits, the default, would blur gradients and attacks.
    torch.backends.cudnn.allow_tf32 = False


def run_group(trials: Sequence[Trial], home: Path, device: str) -> Iterator[Outcome]:
    """Runs trials of one kind (see `execution.schedule.kind`); yields each outcome as soon as it is
    on disk.
    """
    _together(trials, home, device)
    for trial in trials:
        yield single.run_trial(trial, home, device)


def train_group(
    trials: Sequence[Trial], home: Path, device: str
) -> Iterator[Outcome | tuple[str, ...]]:
    """Trains them as `run_group` does, and leaves to others what is evaluated one by one; yields
    the outcome of each that cannot be trained, and at last the keys of the others, together: what
    waits for them can then be trained together as well.
    """
    _together(trials, home, device)
    done = []
    for trial in trials:
        failed = single.train_trial(trial, home, device)
        if failed is None:
            done.append(trial.key)
        else:
            yield failed
    yield tuple(done)


def _together(trials: Sequence[Trial], home: Path, device: str) -> None:
    """Those that are not trained yet train together, as many at once as the memory holds, and are
    attacked together. When it runs out the stack is halved, down to single models, whose failure is
    then their own.
    """
    untrained = [trial for trial in trials if not TrialFolder(home, trial.key).is_trained]
    try:
        _in_stacks(_train_together, untrained, home, device)
        _in_stacks(single.attack_together, trials, home, device)
    except Exception as error:
        # The sequential engine is the reference: what the stacked one cannot do, that one does, or
        # says why not.
        warnings.warn(
            f"{trials[0].entry.id} and {len(trials) - 1} more go on one by one, as stacking them "
            f"failed: {type(error).__name__}: {error}",
            RuntimeWarning,
            stacklevel=1,
        )


def _in_stacks(
    do: Callable[[Sequence[Trial], Path, str], int],
    trials: Sequence[Trial],
    home: Path,
    device: str,
) -> None:
    """As many at once as `do` says that it did; half as many, down to two, where the memory runs
    out.
    """
    size = len(trials)
    while len(trials) > 1 and size > 1:
        try:
            size = do(trials[:size], home, device)
            trials = trials[size:]
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            size //= 2


def _train_together(trials: Sequence[Trial], home: Path, device: str) -> int:
    """Trains and keeps the first so many as fit the memory; returns how many, all where they cannot
    be stacked.
    """
    starts = [single.prepare(trial, home, device) for trial in trials]
    if not stackable(starts[0].model):
        return len(trials)
    stack = _Stack(
        starts,
        seeds=[trial.seed for trial in trials],
        strengths=[trial.entry.strength for trial in trials],
    )
    count = min(len(trials), _fitting(stack))
    trained = stack.train(stack.models[:count])
    for trial, model, training in zip(trials, stack.models, trained):
        single.keep(trial, home, training, model)
    return count


@dataclass(frozen=True)
class _Stack:
    """Trials of one kind, ready to be trained as one model."""

    starts: Sequence[single.Start]
    seeds: Sequence[int]
    strengths: Sequence[float]

    @property
    def models(self) -> list[nn.Module]:
        return [start.model for start in self.starts]

    def train(self, models: Sequence[nn.Module], iterations: int | None = None) -> list[Training]:
        """Trains the first so many of the trials, in place."""
        first, count = self.starts[0], len(models)
        phase = first.phase
        if iterations is not None:
            phase = dataclasses.replace(phase, iterations=iterations)
        return train_stacked(
            models,
            first.images.train,
            phase,
            seeds=self.seeds[:count],
            strengths=self.strengths[:count],
            regularizer=first.regularizer,
        )


def _fitting(stack: _Stack) -> int:
    """How many models the device's memory holds, from two steps with one and with two of them."""
    device = stack.starts[0].images.train.images.device
    if device.type != "cuda":
        return len(stack.starts)
    peaks = []
    for count in (1, 2):
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        stack.train(copy.deepcopy(stack.models[:count]), iterations=2)
        peaks.append(torch.cuda.max_memory_allocated(device) - before)
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(device)
    return max(1, 1 + int((MEMORY_SHARE * free - peaks[0]) // max(peaks[1] - peaks[0], 1)))
