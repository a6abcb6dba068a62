"""run_trial: all that a worker ever runs. It fills the trial's folder and returns the Outcome."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from safetensors.torch import save
from torch import nn

from registry.spec import InputError, Part, Trial
from registry.write import write_whole

from .. import data
from ..evaluation.evaluate import Evaluated, evaluate, evaluate_together, layers
from ..records.home import TrialFolder
from ..records.outcome import TRAINING, Outcome, Score, TrainingRecord
from ..regularizer import Regularizer, load_regularizer
from ..sandbox import training as untrusted
from ..sandbox.process import SandboxError
from ..training import networks
from ..training.loop import Training, train
from ..training.phase import Phase
from .provenance import provenance


@dataclass(frozen=True)
class Start:
    """What training a trial starts from, on its device. Submitted code is not loaded: it runs in
    the sandbox only.
    """

    images: data.Data
    model: nn.Module
    phase: Phase
    regularizer: Regularizer | None


def run_trial(trial: Trial, home: Path, device: str = "cpu") -> Outcome:
    """Trains, evaluates and records one trial, or what an earlier, interrupted run of it left to
    do.

    `records.home.TrialFolder` says what it leaves on disk. A trial that cannot run gives an outcome
    with status "failed"; it raises nothing but KeyboardInterrupt.
    """
    if trial.sandboxed and not TrialFolder(home, trial.key).is_trained:
        device = "cpu"  # the sandbox has no other
    started = _now()
    try:
        outcome = _run(trial, home, device, started)
        TrialFolder(home, trial.key).finish(outcome)
    except Exception as error:
        return _failed(trial, home, device, started, error)
    return outcome


def train_trial(trial: Trial, home: Path, device: str = "cpu") -> Outcome | None:
    """Trains one trial, if it is not trained yet, and leaves its evaluation to `run_trial`, there
    or on another device. Returns the outcome of one that cannot run; it raises nothing but
    KeyboardInterrupt.
    """
    started = _now()
    try:
        trained(trial, home, device)
    except Exception as error:
        return _failed(trial, home, device, started, error)
    return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _failed(trial: Trial, home: Path, device: str, started: str, error: Exception) -> Outcome:
    """The outcome of a trial that cannot run; to be called where the error is handled."""
    with suppress(OSError):  # a full disk takes no record of it either
        TrialFolder(home, trial.key).fail(traceback.format_exc())
    return Outcome.of(
        trial,
        status="failed",
        error=_reason(error),
        started=started,
        provenance=provenance(device),
    )


def _reason(error: Exception) -> str:
    """In one line."""
    told = isinstance(error, InputError | SandboxError)
    reason = str(error) if told else f"{type(error).__name__}: {error}"
    return reason.splitlines()[0] if reason else "unknown"


def _run(trial: Trial, home: Path, device: str, started: str) -> Outcome:
    folder = TrialFolder(home, trial.key)
    images, training, model = trained(trial, home, device)
    weights = folder.digest()
    # To what an earlier run found, new threats are added: where it found it on these weights.
    before = folder.outcome()
    if before is None or before.provenance.get("weights_sha256") != weights:
        before = _nothing_yet(trial, images, training)
    found: list[Evaluated] = []
    layer_rows = before.layers
    if training.status == "finished":
        asked = [part for part in trial.evaluation if part.id not in before.parts]
        found = _evaluated(trial, asked, model, images, home, device)
        layer_rows = layer_rows or tuple(layers(model, images.test.pixels(slice(1))))
    scores = [score for rows in found for score in rows.scores]
    examples = [column for rows in found for column in rows.examples]
    return Outcome.of(
        trial,
        status=training.status,
        iterations=training.iterations,
        train_seconds=training.seconds,
        evaluate_seconds=before.evaluate_seconds + sum(rows.seconds for rows in found),
        started=started,
        epochs=tuple(training.epochs),
        scores=(*before.scores, *scores),
        examples=(*before.examples, *examples),
        layers=layer_rows,
        provenance=provenance(device)
        | {
            "data_sha256": images.sha256,
            "weights_sha256": weights,
            "engine": training.engine,
            **_trained_on(folder),
        },
    )


def _trained_on(folder: TrialFolder) -> dict[str, str]:
    """The device by name: an evaluation may go on elsewhere."""
    record = folder.training()
    return {"trained_on": record.device} if record is not None and record.device else {}


def _nothing_yet(trial: Trial, images: data.Data, training: Training) -> Outcome:
    """Of a trial that has trained. A flag of the training, as a score, keeps the method out of the
    ranking.
    """
    n = len(images.train)
    common = {"threat": TRAINING, "split": "train", "value": 1.0, "n": n, "examples": n}
    flags = training.flags if training.status == "finished" else ()
    scores = tuple(Score(metric=flag, flags=(flag,), **common) for flag in flags)
    return Outcome.of(trial, status=training.status, scores=scores)


def _evaluated(
    trial: Trial,
    parts: list[Part],
    model: nn.Module,
    images: data.Data,
    home: Path,
    device: str,
) -> list[Evaluated]:
    """The rows of `parts`: those that an interrupted run finished are read, the others evaluated
    and kept one by one.
    """
    folder = TrialFolder(home, trial.key)
    known = {part: folder.part(part, Evaluated) for part in parts}
    found = [rows for rows in known.values() if rows is not None]
    missing = [part for part, rows in known.items() if rows is None]
    for part, rows in evaluate(
        model,
        images,
        missing,
        seed=trial.seed,
        checkpoint=folder.checkpoint,
        sources=partial(_sources, trial, home, device),
    ):
        folder.keep_part(part, rows)
        found.append(rows)
    return found


def _sources(trial: Trial, home: Path, device: str, part: Part) -> dict[str, nn.Module]:
    """The models whose adversarial images a part is about, of the trial's network and data.

    Raises InputError where one's weights are missing or damaged.
    """
    found = {}
    for source in part.sources:
        weights = TrialFolder(home, source.key).weights
        model = networks.load(trial.architecture, trial.dataset, weights)
        found[source.regularizer] = networks.placed(model, device).eval()
    return found


def attack_together(trials: Sequence[Trial], home: Path, device: str) -> int:
    """Finds and keeps, for trials that differ in λ and seed only, the parts of their evaluation
    that go in one pass for all.

    Of trials that have trained and of whose evaluation nothing is known yet; `run_trial` does the
    rest. Returns how many trials it was given.
    """
    finished: list[tuple[Trial, nn.Module]] = []
    images: data.Data | None = None
    for trial in trials:
        folder = TrialFolder(home, trial.key)
        alike = trial.evaluation == trials[0].evaluation
        if alike and folder.is_trained and not folder.is_evaluated:
            images, training, model = trained(trial, home, device)
            if training.status == "finished":
                finished.append((trial, model))
    if images is not None and len(finished) > 1:
        alike, nets = zip(*finished)
        seeds = [trial.seed for trial in alike]
        for part, rows in evaluate_together(nets, images, alike[0].evaluation, seeds=seeds):
            for trial, mine in zip(alike, rows, strict=True):
                TrialFolder(home, trial.key).keep_part(part, mine)
    return len(trials)


def prepare(trial: Trial, home: Path, device: str) -> Start:
    """Raises InputError where data, network, method or reference cannot be had."""
    images = _images(trial, home, device)
    regularizer = None
    if trial.plugin is not None and not trial.sandboxed:
        regularizer = load_regularizer(Path(trial.plugin), trial.params, trial.regularizer_sha256)
    name = "fine_tune" if trial.recipe.has_fine_tune else "reference"
    return Start(
        images=images,
        model=networks.placed(_initial(trial, home), device),
        phase=Phase.of(trial.recipe, name, len(images.train)),
        regularizer=regularizer,
    )


def keep(trial: Trial, home: Path, training: Training, model: nn.Module) -> None:
    """Writes the weights, a method's state, and the record that makes them believed."""
    folder = TrialFolder(home, trial.key)
    folder.begin()
    networks.save(model, folder.weights, {"key": trial.key})
    if training.state:
        state = {name: value.contiguous().cpu() for name, value in training.state.items()}
        write_whole(folder.state, save(state))
    folder.believe(
        TrainingRecord(
            status=training.status,
            iterations=training.iterations,
            seconds=training.seconds,
            engine=training.engine,
            device=provenance(str(next(model.parameters()).device))["device_name"],
            flags=training.flags,
            epochs=tuple(training.epochs),
        )
    )


def trained(trial: Trial, home: Path, device: str) -> tuple[data.Data, Training, nn.Module]:
    """The trained network in evaluation mode: read where it is here and whole, else trained."""
    found = _read(trial, home)
    if found is not None:
        training, model = found
        return _images(trial, home, device), training, networks.placed(model, device).eval()
    start = prepare(trial, home, "cpu" if trial.sandboxed else device)
    if trial.sandboxed:
        training = untrusted.train(trial, start.model, start.images.train, start.phase)
    else:
        training = train(
            start.model,
            start.images.train,
            start.phase,
            seed=trial.seed,
            regularizer=start.regularizer,
            strength=trial.entry.strength,
        )
    keep(trial, home, training, start.model)
    if trial.sandboxed:
        return _images(trial, home, device), training, networks.placed(start.model, device)
    return start.images, training, start.model


def _read(trial: Trial, home: Path) -> tuple[Training, nn.Module] | None:
    """What an earlier run trained; damaged weights are set aside."""
    folder = TrialFolder(home, trial.key)
    record = folder.training() if folder.is_trained else None
    if record is None:
        return None
    try:
        model = networks.load(trial.architecture, trial.dataset, folder.weights)
    except InputError:
        folder.set_aside_weights()
        return None
    training = Training(
        record.status,
        record.iterations,
        record.seconds,
        epochs=[*record.epochs],
        engine=record.engine,
        flags=record.flags,
    )
    return training, model


def _initial(trial: Trial, home: Path) -> nn.Module:
    """The network as training finds it: the reference's, or freshly initialised from the seed."""
    reference = trial.reference
    if reference is None:
        return networks.create(trial.architecture, trial.dataset, seed=trial.seed)
    folder = TrialFolder(home, reference.key)
    record = folder.training() if folder.is_trained else None
    if record is None:
        raise InputError(
            f"{folder.weights}: the reference's weights are missing; run the selection again to "
            "train it"
        )
    if record.status != "finished":
        raise InputError(
            f"its reference {reference.key} diverged: lower the recipe's learning_rate"
        )
    return networks.load(trial.architecture, trial.dataset, folder.weights)


def _images(trial: Trial, home: Path, device: str) -> data.Data:
    return data.load(trial.dataset, home, train_size=trial.recipe.train_size, device=device)
