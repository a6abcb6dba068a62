"""What runs inside the sandbox: reads its task, applies its limits, then loads submitted code and does what is asked.

Everything that it says is untrusted from the moment the submission is loaded: its parent checks all of it.
"""
from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from registry.spec import InputError

from .finding import Finding
from .sandbox import READY

Say = Callable[..., None]


def main(place: str) -> None:
    """Does the task in the folder `place` and ends the process. What submitted code would run at its end is not run."""
    folder = Path(place)
    task = json.loads((folder / "task.json").read_text())

    def write(content: bytes) -> None:
        while content:
            content = content[os.write(task["answer"], content):]

    def say(**item: Any) -> None:
        write(json.dumps(item).encode() + b"\n")

    try:
        weights = {"train": _train, "check": _check}[task["kind"]](task, folder, say)
        say(done=True)
        if weights:
            say(weights=True)
            write(weights)
    except BaseException as error:  # whatever it is, it is the verdict
        say(error=str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}".rstrip(": "))
        os._exit(1)
    os._exit(0)


def _begin(limits: dict[str, Any], say: Say) -> None:
    """Limits for good, and the mark from which on submitted code may run. Memory counts from here: torch maps much."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    for kind, most in ((resource.RLIMIT_AS, pages * os.sysconf("SC_PAGE_SIZE") + limits["memory"]),
                       (resource.RLIMIT_CPU, limits["cpu_seconds"]), (resource.RLIMIT_FSIZE, limits["scratch"]),
                       (resource.RLIMIT_NOFILE, 256), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(kind, (most, most))
    say(**{READY: time.process_time()})


def _train(task: dict[str, Any], folder: Path, say: Say) -> bytes:
    """Trains as `run_trial` would, on the images of the training split alone."""
    from . import models, train  # noqa: F401  (imported before the clock starts)

    return _trained(task, folder, say, lambda: _begin(task["limits"], say))


def _check(task: dict[str, Any], folder: Path, say: Say) -> bytes:
    """Says what it is doing and what it found, check for check; where all is well it also trains."""
    from registry.spec import Card

    card = Card.model_validate_json(json.dumps(task["card"]))
    first = _imported(task, say)
    say(finding=asdict(first))
    if not first.ok:
        return b""
    from . import examination

    well = True
    for finding in examination.examine(card, Path(task["submission"]), lambda check: say(doing=check)):
        say(finding=asdict(finding))
        well &= finding.ok
    say(doing="a short training")
    return _trained(task, folder, say, lambda: None) if well else b""


def _imported(task: dict[str, Any], say: Say) -> Finding:
    """Loads the submission before anything but torch and the plugin protocol is there: what is bad at once ends at once."""
    from . import patches
    from .regularizer import load_regularizer

    check = "regularizer.py can be imported, and replaces nothing"
    before = patches.functions()
    _begin(task["limits"], say)
    say(doing=check)
    try:
        name = type(load_regularizer(Path(task["submission"]), {})).__name__
    except InputError as error:
        return Finding(check, False, str(error))
    replaced, needless = patches.replaced(before), patches.imported()
    if replaced:
        return Finding(check, False, f"it replaces {', '.join(replaced[:3])}")
    if needless:
        return Finding(check, False, f"it imports benchmark.{needless[0]}: a method may use benchmark.regularizer, "
                                     "benchmark.attacks and benchmark.projection")
    return Finding(check, True, name)


def _trained(task: dict[str, Any], folder: Path, say: Say, begin: Callable[[], None]) -> bytes:
    import safetensors.torch
    import torch

    from registry.spec import Trial

    from . import models
    from .data import Split
    from .regularizer import load_regularizer
    from .train import Phase, train

    torch.set_num_threads(task["threads"])
    trial = Trial.model_validate_json(json.dumps(task["trial"]))
    arrays = safetensors.torch.load_file(folder / "train.safetensors")
    split = Split(arrays["images"], arrays["labels"], trial.dataset.white)
    model = models.placed(models.load(trial.architecture, trial.dataset, folder / "initial.safetensors"), "cpu")
    phase = Phase.of(trial.recipe, task["phase"], len(split.labels))
    begin()
    regularizer = load_regularizer(Path(task["submission"]), trial.params)
    training = train(model, split, phase, seed=trial.seed, regularizer=regularizer, strength=trial.entry.strength)
    say(training={"status": training.status, "iterations": training.iterations,
                  "epochs": [epoch.model_dump(mode="json") for epoch in training.epochs]})
    return safetensors.torch.save({name: value.detach().contiguous() for name, value in model.state_dict().items()})
