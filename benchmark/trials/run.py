"""run_trial: all that a worker ever runs. It writes `<home>/<key>/` and returns the Outcome."""

from __future__ import annotations

import json
import shutil
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from registry.spec import InputError, Part, Trial

from .. import data
from ..evaluation.evaluate import Evaluated, evaluate, evaluate_together, file_name, layers
from ..records.home import write_whole
from ..records.outcome import TRAINING, Epoch, Outcome, Score
from ..regularizer import Regularizer, load_regularizer
from ..sandbox import training as untrusted
from ..sandbox.process import SandboxError
from ..training import networks
from ..training.loop import Phase, Training, train
from .provenance import provenance

PARTS = "parts"  # the folder of what an evaluation has finished


def run_trial(trial: Trial, home: Path, device: str = "cpu") -> Outcome:
    """Trains, evaluates and records one trial, or what an earlier, interrupted run of it left to
    do.

    The folder `home/<key>/` then holds `weights.safetensors`, `training.json` and, last of all,
    `outcome.json`; each appears whole or not at all. Until then `parts/` keeps each finished part
    of the evaluation. A trial that cannot run gives an outcome with status "failed"; it raises
    nothing but KeyboardInterrupt.
    """
    if trial.sandboxed:
        device = "cpu"  # the sandbox has no other
    started = datetime.now(UTC).isoformat(timespec="seconds")
    folder = home / trial.key
    folder.mkdir(parents=True, exist_ok=True)
    try:
        outcome = _run(trial, home, folder, device, started)
    except Exception as error:
        reason = (
            str(error)
            if isinstance(error, InputError | SandboxError)
            else f"{type(error).__name__}: {error}"
        )
        write_whole(folder / "error.txt", traceback.format_exc())
        return Outcome.of(
            trial,
            status="failed",
            error=reason.splitlines()[0] if reason else "unknown",
            started=started,
            provenance=provenance(device),
        )
    outcome.write(folder / "outcome.json")
    shutil.rmtree(folder / PARTS, ignore_errors=True)
    return outcome


def _run(trial: Trial, home: Path, folder: Path, device: str, started: str) -> Outcome:
    images, training, model = _trained(trial, home, device)
    before = _before(folder)
    scores = list(before.scores) if before else []
    examples = list(before.examples) if before else []
    spent = before.evaluate_seconds if before else 0.0
    layer_rows: tuple[Any, ...] = before.layers if before else ()
    if training.status == "finished":
        have = before.parts if before else set()
        found = _evaluated(
            trial,
            [part for part in trial.evaluation if part.id not in have],
            model,
            images,
            folder / PARTS,
        )
        scores += [score for rows in found for score in rows.scores]
        examples += [example for rows in found for example in rows.examples]
        spent += sum(rows.seconds for rows in found)
        layer_rows = layer_rows or tuple(layers(model, images.test.pixels(slice(1))))
        if before is None:
            scores += [_raised(flag, len(images.train)) for flag in training.flags]
    return Outcome.of(
        trial,
        status=training.status,
        iterations=training.iterations,
        train_seconds=training.seconds,
        evaluate_seconds=spent,
        started=started,
        epochs=tuple(training.epochs),
        scores=tuple(scores),
        examples=tuple(examples),
        layers=layer_rows,
        provenance=provenance(device) | {"data_sha256": images.sha256, "engine": training.engine},
    )


def _raised(flag: str, n: int) -> Score:
    """A flag of the training, as a score: it keeps the method out of the ranking."""
    return Score(
        threat=TRAINING, split="train", metric=flag, value=1.0, n=n, examples=n, flags=(flag,)
    )


def _evaluated(
    trial: Trial, parts: list[Part], model: torch.nn.Module, images: data.Data, folder: Path
) -> list[Evaluated]:
    """The rows of `parts`: those that an interrupted run finished are read, the others evaluated
    and kept one by one.
    """
    found, missing = [], []
    for part in parts:
        path = folder / f"{file_name(part)}.json"
        try:
            found.append(Evaluated.model_validate_json(path.read_text()))
        except (FileNotFoundError, ValidationError):  # not done, or cut short by a full disk
            missing.append(part)
    for part, rows in evaluate(model, images, missing, seed=trial.seed, checkpoints=folder):
        _keep_part(folder, part, rows)
        found.append(rows)
    return found


def _keep_part(folder: Path, part: Part, rows: Evaluated) -> None:
    write_whole(folder / f"{file_name(part)}.json", rows.model_dump_json())


def attack_together(trials: Sequence[Trial], home: Path, device: str) -> int:
    """Finds and keeps, for trials that differ in λ and seed only, the parts of their evaluation
    that go in one pass for all.

    Of trials that have trained and of whose evaluation nothing is known yet; `run_trial` does the
    rest. Returns how many trials it was given.
    """
    fresh = [
        trial
        for trial in trials
        if is_trained(trial, home)
        and trial.evaluation == trials[0].evaluation
        and not any((home / trial.key / name).exists() for name in (PARTS, "outcome.json"))
    ]
    loaded = [(trial, *_trained(trial, home, device)) for trial in fresh]
    finished = [
        (trial, images, model)
        for trial, images, training, model in loaded
        if training.status == "finished"
    ]
    if len(finished) > 1:
        alike, (images, *_), nets = zip(*finished)
        for part, rows in evaluate_together(
            nets, images, alike[0].evaluation, seeds=[trial.seed for trial in alike]
        ):
            for trial, mine in zip(alike, rows, strict=True):
                _keep_part(home / trial.key / PARTS, part, mine)
    return len(trials)


def _before(folder: Path) -> Outcome | None:
    """An earlier outcome of the same trial, to which new threats are added; an unreadable one is no
    outcome.
    """
    path = folder / "outcome.json"
    try:
        return Outcome.read(path) if path.exists() else None
    except InputError:
        path.replace(path.with_suffix(".quarantined"))
        return None


def is_trained(trial: Trial, home: Path) -> bool:
    """Whether the weights of an earlier, interrupted run are there."""
    folder = home / trial.key
    return (folder / "training.json").exists() and (folder / "weights.safetensors").exists()


def prepare(
    trial: Trial, home: Path, device: str
) -> tuple[data.Data, torch.nn.Module, Phase, Regularizer | None]:
    """What training a trial starts from. Submitted code is not loaded here: it runs in the sandbox
    only.
    """
    images = data.load(trial.dataset, home, train_size=trial.recipe.train_size, device=device)
    name = "fine_tune" if trial.recipe.has_fine_tune else "reference"
    load = trial.regularizer is not None and not trial.sandboxed
    regularizer = load_regularizer(Path(str(trial.regularizer)), trial.params) if load else None
    return (
        images,
        networks.placed(_initial(trial, home), device),
        Phase.of(trial.recipe, name, len(images.train.labels)),
        regularizer,
    )


def keep(trial: Trial, home: Path, training: Training, model: torch.nn.Module) -> None:
    """Writes `weights.safetensors`, then `training.json`, which makes them believed."""
    folder = home / trial.key
    shutil.rmtree(folder / PARTS, ignore_errors=True)  # they told of other weights
    folder.mkdir(parents=True, exist_ok=True)
    networks.save(model, folder / "weights.safetensors", {"key": trial.key})
    if training.state:
        save_file(
            {name: value.contiguous().cpu() for name, value in training.state.items()},
            folder / "state.safetensors",
        )
    record = {
        "status": training.status,
        "iterations": training.iterations,
        "seconds": training.seconds,
        "engine": training.engine,
        "flags": training.flags,
        "epochs": [epoch.model_dump(mode="json") for epoch in training.epochs],
    }
    write_whole(folder / "training.json", json.dumps(record))


def _trained(trial: Trial, home: Path, device: str) -> tuple[data.Data, Training, torch.nn.Module]:
    folder = home / trial.key
    weights = folder / "weights.safetensors"
    if is_trained(trial, home):
        images = data.load(trial.dataset, home, train_size=trial.recipe.train_size, device=device)
        try:
            saved = json.loads((folder / "training.json").read_text())
            saved["epochs"] = [Epoch.model_validate(epoch) for epoch in saved["epochs"]]
            saved["flags"] = tuple(saved.get("flags", ()))
            model = networks.load(trial.architecture, trial.dataset, weights)
            return images, Training(**saved), networks.placed(model, device).eval()
        except (InputError, ValueError, TypeError, KeyError):
            weights.replace(
                weights.with_suffix(".quarantined")
            )  # cut short by a full disk: trained again
    images, model, phase, regularizer = prepare(trial, home, device)
    if trial.sandboxed:
        training = untrusted.train(trial, model, images.train, phase)
    else:
        training = train(
            model,
            images.train,
            phase,
            seed=trial.seed,
            regularizer=regularizer,
            strength=trial.entry.strength,
        )
    keep(trial, home, training, model)
    return images, training, model


def _initial(trial: Trial, home: Path) -> torch.nn.Module:
    """The network as training finds it: the reference's, or freshly initialised from the seed."""
    reference = trial.reference
    if reference is None:
        return networks.create(trial.architecture, trial.dataset, seed=trial.seed)
    weights = home / reference.key / "weights.safetensors"
    record = weights.with_name("training.json")
    if not (weights.exists() and record.exists()):
        raise InputError(
            f"{weights}: the reference's weights are missing; run the selection again to train it"
        )
    if json.loads(record.read_text())["status"] != "finished":
        raise InputError(
            f"its reference {reference.key} diverged: lower the recipe's learning_rate"
        )
    return networks.load(trial.architecture, trial.dataset, weights)
