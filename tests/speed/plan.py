"""Selecting and planning 100,000 trials of one track, of which nothing is done, and copying one:
`python tests/speed/plan.py`.
"""

from __future__ import annotations

import argparse
import gc
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pandas  # noqa: F401  what a plan imports is not timed
from pydantic import BaseModel

from benchmark.execution import runner
from benchmark.records.store import Store
from registry import load
from registry.spec import Spec, Trial

METHODS = (
    "input_gradient",
    "jacobian",
    "cross_lipschitz",
    "curvature",
    "elle",
    "trades",
    "llr",
    "grad_align",
    "convex_mix",
    "weight_decay",
)


def registry_of(trials: int, folder: Path) -> Path:
    root = folder / "registry"
    shutil.copytree(load.HERE, root)
    head, _, _ = (root / "tracks" / "quickstart.toml").read_text().partition("[[entry]]")
    head = head.replace('name = "quickstart"', 'name = "many"').replace("seeds = 3", "seeds = 1")
    grid = [round((i + 1) * 1e-5, 9) for i in range(trials // len(METHODS))]
    lines = [f'[[entry]]\nregularizer = "{method}"\nlambda = {grid}\n' for method in METHODS]
    (root / "tracks" / "many.toml").write_text(head + "\n".join(lines))
    return root


def copying(model_copy: Callable[..., BaseModel], trial: Trial, copies: int = 100_000) -> float:
    """Seconds of processor time for so many copies that differ in the seed."""
    start = time.process_time()
    for seed in range(copies):
        model_copy(trial, update={"seed": seed})
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    gc.set_threshold(200_000)  # as the command line does
    times = []
    with tempfile.TemporaryDirectory() as folder:
        root = registry_of(arguments.trials, Path(folder))
        for _ in range(arguments.rounds):
            start = time.perf_counter()
            chosen = load.Registry(root, root / "none").select(["many"])
            selected = time.perf_counter()
            plan = runner.plan((trial for _, trial in chosen), Store(root / "none.duckdb"))
            times.append((selected - start, time.perf_counter() - selected))
    select, planning = (median(column) for column in zip(*times))
    print(
        f"{len(chosen):,} trials, {len(plan.to_run):,} to run: "
        f"select {select:.2f} s, plan {planning:.2f} s"
    )
    trial = chosen[0][1].model_copy()  # of which nothing is cached
    ours, pydantics = (copying(kind.model_copy, trial) for kind in (Spec, BaseModel))
    print(
        f"100,000 copies of a trial: {ours:.2f} s, by pydantic's own model_copy {pydantics:.2f} s"
    )


if __name__ == "__main__":
    main()
