"""A short training of a submission: run by the check in its sandbox, measured outside beside the
control.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from registry.load import Registry
from registry.spec import Entry, InputError, Method, Part, Trial

from .. import data
from ..data import Data
from ..records.home import home
from ..records.outcome import Outcome
from ..records.reports import Finding
from ..training import Phase, Training, networks
from ..trials.run import keep, prepare, run_trial

TRIED_ON = "quickstart"  # the track whose recipe it follows


@dataclass(frozen=True)
class Rehearsal:
    """A trial of a method on the smallest track, and the control's of the same length."""

    trial: Trial
    control: Trial
    folder: Path  # a home of its own
    images: Data
    phase: Phase

    @property
    def name(self) -> str:
        """Of what is checked by it."""
        return f"a short training at λ = {self.trial.entry.strength:g} learns"

    def blank(self) -> nn.Module:
        """The network before any training."""
        return networks.create(self.trial.architecture, self.trial.dataset, seed=self.trial.seed)

    def model(self) -> nn.Module:
        """The network as the training finds it: the reference, which is trained now."""
        reference = self.trial.reference
        assert reference is not None, f"track {TRIED_ON} fine-tunes a reference"
        _run(reference.model_copy(update={"evaluation": ()}), self.folder)
        return prepare(self.trial, self.folder, "cpu").model

    def finding(self, training: Training, model: nn.Module) -> Finding:
        """What a training gave: accuracy on test images, clean and under the headline threat,
        beside the control's.
        """
        if training.status == "diverged":
            told = (
                f"it diverges in iteration {training.iterations}: the middle of the card's grid "
                "should be a λ that works"
            )
            return Finding(self.name, False, told)
        keep(self.trial, self.folder, training, model)
        method = _shares(_run(self.trial, self.folder))
        control = _shares(_run(self.control, self.folder))
        (_, clean), (threat, robust) = method.items()
        told = (
            f"on {self.trial.dataset.name}: {clean:.1%} clean (control {control['clean']:.1%}), "
            f"{robust:.1%} under {threat} ({control[threat]:.1%})"
        )
        return Finding(self.name, clean > 2 / self.trial.dataset.num_classes, told)


@contextmanager
def rehearsal(registry: Registry, method: Method) -> Iterator[Rehearsal]:
    """At the middle of the card's grid, in a home that is removed; decoded images are shared."""
    trial, control = _trials(registry, method)
    (home() / "cache").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".check-", dir=home()) as name:
        folder = Path(name)
        (folder / "cache").symlink_to(home() / "cache")
        images = data.load(trial.dataset, folder, train_size=trial.recipe.train_size)
        phase = Phase.of(trial.recipe, "fine_tune", len(images.train))
        yield Rehearsal(trial, control, folder, images, phase)


def _trials(registry: Registry, method: Method) -> tuple[Trial, Trial]:
    """The method's and the control's, to be measured by what a finding tells."""
    track = registry.track(TRIED_ON)
    architecture, grid = track.architectures[0], method.card.grid
    network = registry.architecture(architecture)
    if method.card.smooth_activation:
        network = registry.architecture(f"{architecture}:activation=swish")
    told = tuple(part for part in track.evaluation if _is_told(part, track.headline))

    def trial(regularizer: str, strength: float) -> Trial:
        entry = Entry(
            dataset=track.dataset,
            architecture=architecture,
            regularizer=regularizer,
            strength=strength,
        )
        on_track = registry.trial(entry, track, seed=0)
        return on_track.model_copy(update={"architecture": network, "evaluation": told})

    return trial(method.card.name, grid[len(grid) // 2]), trial("none", 0.0)


def _is_told(part: Part, headline: str) -> bool:
    return part.split == "test" and part.name in ("clean", headline)


def _run(trial: Trial, folder: Path) -> Outcome:
    outcome = run_trial(trial, folder)
    if outcome.status != "finished":
        raise InputError(f"check: {trial.entry.id} cannot run: {outcome.error or outcome.status}")
    return outcome


def _shares(outcome: Outcome) -> dict[str, float]:
    """Threat → accuracy, "clean" first."""
    return {s.threat: s.value for s in outcome.scores if "accuracy" in s.metric}
