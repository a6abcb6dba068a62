"""Training a submitted regularizer: it runs in the sandbox, and only weights that fit are taken
back.

Both ends of the protocol are here: `train` asks, outside; `trained` answers, inside. Attacks and
measures then run outside, on those weights in the registered architecture: nothing that submitted
code does to torch, to the model's methods or to the evaluation in its own process can reach them.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from registry.spec import Trial

from .. import training
from ..data import Split
from ..records.outcome import Epoch
from ..regularizer import load_regularizer
from ..training import Phase, Training
from .child import Begin, Say
from .process import Answer, Limits, SandboxError, run

JOB = "benchmark.sandbox.training:trained"
EPOCHS = TypeAdapter(tuple[Epoch, ...])


def train(
    trial: Trial, model: nn.Module, split: Split, phase: Phase, *, limits: Limits = Limits()
) -> Training:
    """As `benchmark.training.train` on the CPU, with the trial's regularizer in the sandbox;
    warm-start state is not kept.

    Its seconds are what the kernel counted for the child: submitted code cannot make itself look
    cheaper.

    Raises:
        SandboxError: in one line, what the submission did instead.
        InputError: there is no sandbox here.
    """
    task, files, weights = given(trial, model, split, phase)
    answer = run({"job": JOB} | task, files, Path(str(trial.regularizer)), limits, weights=weights)
    return taken_back(answer, model, phase)


def given(
    trial: Trial, model: nn.Module, split: Split, phase: Phase
) -> tuple[dict[str, Any], dict[str, bytes], int]:
    """What a child is told to train a trial from `model`: fields of its task, files beside it, and
    the bytes to take back.
    """
    initial = safetensors.torch.save(_state(model))
    images = safetensors.torch.save(
        {"images": split.images.contiguous(), "labels": split.labels.contiguous()}
    )
    task = {
        "trial": json.loads(trial.model_dump_json(by_alias=True)),
        "phase": phase.name,
        "threads": torch.get_num_threads(),
    }
    return task, {"train.safetensors": images, "initial.safetensors": initial}, len(initial) + 65536


def trained(task: dict[str, Any], folder: Path, say: Say, begin: Begin) -> bytes:
    """Trains as `run_trial` would, on the images of the training split alone: a sandbox's job.

    Returns the weights as safetensors, having said what the training was.
    """
    torch.set_num_threads(task["threads"])
    trial = Trial.model_validate_json(json.dumps(task["trial"]))
    arrays = safetensors.torch.load_file(folder / "train.safetensors")
    split = Split(arrays["images"], arrays["labels"], trial.dataset.white)
    initial = folder / "initial.safetensors"
    model = training.placed(training.load(trial.architecture, trial.dataset, initial), "cpu")
    phase = Phase.of(trial.recipe, task["phase"], len(split.labels))
    begin()
    regularizer = load_regularizer(Path(task["submission"]), trial.params)
    found = training.train(
        model, split, phase, seed=trial.seed, regularizer=regularizer, strength=trial.entry.strength
    )
    say(
        training={
            "status": found.status,
            "iterations": found.iterations,
            "epochs": [epoch.model_dump(mode="json") for epoch in found.epochs],
        }
    )
    return safetensors.torch.save(_state(model))


def taken_back(answer: Answer, model: nn.Module, phase: Phase) -> Training:
    """Puts a child's weights into `model`, in evaluation mode. Raises SandboxError where they, or
    its record, cannot be.
    """
    record = _record(answer, phase)
    model.load_state_dict(
        _weights(answer.weights, _state(model), finite=record.status == "finished")
    )
    model.eval()
    return record


def _state(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().contiguous() for name, value in model.state_dict().items()}


def _record(answer: Answer, phase: Phase) -> Training:
    """What the child says of its training, where that can be true."""
    said: dict[str, Any] = next(
        (item["training"] for item in answer.said if isinstance(item.get("training"), dict)), {}
    )
    status, iterations = said.get("status"), said.get("iterations")
    try:
        epochs = list(EPOCHS.validate_python(said.get("epochs")))
    except ValidationError:
        raise SandboxError("its record of the training is not one") from None
    whole = math.ceil(phase.iterations / phase.per_epoch)
    if status == "finished" and iterations == phase.iterations and len(epochs) == whole:
        if all(math.isfinite(epoch.loss) and math.isfinite(epoch.penalty) for epoch in epochs):
            return Training("finished", phase.iterations, answer.seconds, epochs)
    elif (
        status == "diverged"
        and isinstance(iterations, int)
        and 0 < iterations <= phase.iterations
        and len(epochs) <= whole
    ):
        return Training("diverged", iterations, answer.seconds, epochs)
    raise SandboxError(
        f"its record of the training cannot be: {status!r} after {iterations!r} of {phase.iterations} "
        "iterations"
    )


def _weights(content: bytes, expected: dict[str, Tensor], finite: bool) -> dict[str, Tensor]:
    """The child's weights, where they fit the network and, for a training that finished, are
    numbers.
    """
    try:
        found = safetensors.torch.load(content)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise SandboxError(f"its weights are no safetensors file ({error})") from None
    if found.keys() != expected.keys():
        names = ", ".join(sorted(found.keys() ^ expected.keys())[:3])
        raise SandboxError(f"its weights are another network's: {names}")
    for name, tensor in expected.items():
        if found[name].shape != tensor.shape or found[name].dtype != tensor.dtype:
            raise SandboxError(
                f"its weights are another network's: {name} is {found[name].dtype} {list(found[name].shape)}, "
                f"not {tensor.dtype} {list(tensor.shape)}"
            )
        if name.startswith("normalize.") and not torch.equal(found[name], tensor):
            raise SandboxError(f"it changed {name}, which is part of the data set")
        if finite and not bool(found[name].isfinite().all()):
            raise SandboxError(f"it gave back weights that are not finite: {name}")
    return found
