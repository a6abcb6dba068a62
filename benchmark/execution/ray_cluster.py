"""Groups as tasks of a Ray cluster, which need not share a file system: files travel with tasks,
the driver alone writes.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.spec import InputError, Trial
from registry.write import write_whole

from ..records.home import OUTCOME, TrialFolder
from ..records.outcome import Outcome
from ..trials.provenance import commit
from .schedule import STACK, Schedule

RETRIES = 3  # of a task whose node or process was lost
LOOK_EVERY = 1.0  # seconds between looks at how long the tasks have taken
PLUGINS, NETWORKS = "plugins", "architectures"  # under a node's home: the code that travels

Files = dict[str, bytes]  # path under a home → content


@dataclass
class _Task:
    group: list[Trial]
    since: float
    late: bool = False  # it was ended as it took longer than the limit


def run_ray(
    trials: Iterable[Trial],
    home: Path,
    address: str | None = None,
    device: str = "auto",
    limit: float = math.inf,
    on_start: Callable[[Trial], None] = lambda trial: None,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome]:
    """Runs every trial on a Ray cluster and yields outcomes as they come; see `run_local`.

    A task takes one GPU, or one CPU core where the cluster has no GPU. Ray runs it again where its
    node is lost; a task that is lost for good, or takes longer than `limit` seconds a trial, gives
    a "failed" outcome, or, if it was a group, runs again trial by trial.

    Args:
        address: of a running cluster, "auto" for the one this machine belongs to; None starts one
            on this machine.
    Raises:
        InputError: Ray is not installed, or no cluster answers at the address.
    """
    ray = _connected(address)
    gpus = "cpu" if device == "cpu" else "cuda" if ray.cluster_resources().get("GPU") else "cpu"
    if gpus == "cpu" and device not in ("cpu", "auto"):
        raise InputError("--device: the Ray cluster has no GPU; take cpu or auto")
    resource = {"num_gpus": 1} if gpus == "cuda" else {"num_cpus": 1}
    task = ray.remote(max_retries=RETRIES, **resource)(_run)
    schedule, running = Schedule(trials), {}
    # Ray prints what happens to nodes; only results go to stdout.
    stdout, sys.stdout = sys.stdout, sys.stderr
    try:
        while schedule:
            yield from schedule.orphans()
            slots = int(ray.cluster_resources().get("GPU" if gpus == "cuda" else "CPU", 1))
            while not stopping() and len(running) < slots:
                group = schedule.take(STACK if gpus == "cuda" else 1)
                if not group:
                    break
                reference = task.remote(group, _files_for(group, home), gpus)
                running[reference] = _Task(group, time.monotonic())
                for trial in group:
                    on_start(trial)
            if not running:
                break
            done, _ = ray.wait(list(running), timeout=LOOK_EVERY)
            for reference in done:
                begun = running.pop(reference)
                results = _results(ray, reference, begun, limit)
                if not results:
                    schedule.put_back(begun.group)
                yield from _settled(results, schedule, home)
            for reference, begun in running.items():
                if time.monotonic() - begun.since > limit * len(begun.group):
                    ray.cancel(reference, force=True)
                    begun.late = True
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
        ray.shutdown()
        sys.stdout = stdout


def _results(ray: Any, reference: Any, begun: _Task, limit: float) -> list[tuple[Outcome, Files]]:
    """What a finished task gave, or the failure of its one trial; nothing of a group that broke."""
    try:
        found = ray.get(reference)
    except ray.exceptions.RayError as error:
        if len(begun.group) > 1:
            return []
        too_long = f"it took longer than the limit of {limit:g} s"
        reason = too_long if begun.late else str(error).splitlines()[0]
        found = [(Outcome.of(begun.group[0], status="failed", error=reason), {})]
    # Only here is the checkout known.
    here = {"commit": commit(), "executor": "ray"}
    return [
        (outcome.model_copy(update={"provenance": outcome.provenance | here}), files)
        for outcome, files in found
    ]


def _settled(
    results: Iterable[tuple[Outcome, Files]], schedule: Schedule, home: Path
) -> Iterator[Outcome]:
    for outcome, files in results:
        _write(files, home)
        if outcome.status != "failed":
            TrialFolder(home, outcome.key).finish(outcome)
        schedule.settle(outcome)
        yield outcome


def _connected(address: str | None) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError:
        raise InputError(
            "--executor ray: Ray is not installed; pip install 'regbench[ray]', or in a clone "
            "pip install -e '.[ray]'"
        ) from None
    _check_answers(address)
    code = [
        str(Path(__file__).resolve().parents[2] / package) for package in ("benchmark", "registry")
    ]
    try:
        # The driver's own code runs everywhere: nodes need the dependencies only.
        ray.init(
            address=address,
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"py_modules": code, "excludes": ["__pycache__", "results"]},
        )
    except ConnectionError as error:
        raise InputError(
            f"--address: no Ray cluster answers at {address!r} ({str(error).splitlines()[0]}); "
            "`ray start --head` starts one"
        ) from None
    return ray


def _check_answers(address: str | None) -> None:
    """Ray itself tries an address for minutes."""
    host, _, port = (address or "").rpartition("://")[2].rpartition(":")
    if not port.isdecimal():
        return  # "auto"
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except OSError as error:
        raise InputError(
            f"--address: no Ray cluster answers at {address!r} ({error.strerror or error}); "
            "`ray start --head` starts one"
        ) from None


def _files_for(group: list[Trial], home: Path) -> Files:
    """What a node needs: the code of the method and of a network of one's own, the references'
    weights, and what earlier runs of the trials left.
    """
    files: Files = {}
    for trial in group:
        module = _own_network(trial)
        if module is not None:
            files[f"{NETWORKS}/{module.name}"] = module.read_bytes()
        if trial.plugin is not None:
            for path in Path(trial.plugin).glob("*.[pt]*"):
                files[f"{PLUGINS}/{path.parent.name}/{path.name}"] = path.read_bytes()
        folders = [home / trial.key] + ([home / trial.reference.key] if trial.reference else [])
        for folder in folders:
            for path in folder.rglob("*"):
                if path.is_file() and not path.name.startswith("."):
                    files[str(path.relative_to(home))] = path.read_bytes()
    return files


def _own_network(trial: Trial) -> Path | None:
    """The file of a network that a registry of one's own brings: the others are on every node."""
    module = Path(trial.architecture.module or "")
    return module if module.is_absolute() else None


def _as_carried(trial: Trial, home: Path) -> Trial:
    """The trial with the code that travelled to this node. A network's lies where its content says,
    as a process that runs further tasks has it already, and as a registry, which the sandbox shows.
    """
    update: dict[str, Any] = {}
    module = _own_network(trial)
    if module is not None:
        code = (home / NETWORKS / module.name).read_bytes()
        registry = home.parent / "registries" / hashlib.sha256(code).hexdigest()[:16]
        place = registry / NETWORKS / module.name
        if not place.exists():
            write_whole(place, code)
        os.environ["REGBENCH_REGISTRY"] = str(registry)
        there = {"module": str(place)}
        update["architecture"] = trial.architecture.model_copy(update=there)
    if trial.plugin is not None:
        update["plugin"] = str(home / PLUGINS / Path(trial.plugin).name)
    return trial.model_copy(update=update) if update else trial


def _write(files: Files, home: Path) -> None:
    """Weights before what makes them believed."""
    for name in sorted(files, key=lambda name: (name.endswith(".json"), name)):
        write_whole(home / name, files[name])


def _run(group: list[Trial], files: Files, device: str) -> list[tuple[Outcome, Files]]:
    """On a node: runs a group in a folder of its own; datasets are decoded once for all tasks of
    the node.
    """
    from ..trials.group import configure, run_group

    configure()
    node = Path(tempfile.gettempdir()) / f"regbench-{os.getuid()}"
    (node / "cache").mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(dir=node))
    try:
        (home / "cache").symlink_to(node / "cache")
        _write(files, home)
        here = [_as_carried(trial, home) for trial in group]
        return [(outcome, _left(home, outcome.key)) for outcome in run_group(here, home, device)]
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _left(home: Path, key: str) -> Files:
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in (home / key).rglob("*")
        if path.is_file() and path.name != OUTCOME
    }
