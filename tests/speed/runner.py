"""What running through the runner costs beside a plain loop, and what a Ray cluster can keep busy:
`python tests/speed/runner.py [--ray]`.

The same trials, in one run: a plain loop of training and evaluation in this process; the runner
with one worker, which also writes weights, outcomes and the database; the runner with two workers.
Seconds a trial, each worker's first left out: importing torch and decoding the data are paid once a
process, however many trials follow.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import torch

from benchmark.evaluation.evaluate import evaluate
from benchmark.execution import runner
from benchmark.execution.local import run_local
from benchmark.execution.ray_cluster import run_ray
from benchmark.records.registered import collect, open_store
from benchmark.training.loop import train
from benchmark.trials.group import configure
from benchmark.trials.run import prepare
from registry.load import Registry
from registry.spec import Trial

ROUNDS = 3
GPUS, MINUTES = (10, 100, 1000), (0.1, 1, 10)


def selection(seeds: int) -> list[Trial]:
    """Trials from scratch, so that none waits for another."""
    chosen = [trial for _, trial in Registry().select(["digits/lenet_300_100/jacobian/*"], seeds)]
    return [
        trial.model_copy(
            update={
                "recipe": trial.recipe.model_copy(
                    update={"reference_epochs": 0, "fine_tune_epochs": 8}
                )
            }
        )
        for trial in chosen
    ]


def plain_loop(trials: list[Trial]) -> float:
    start = time.perf_counter()
    for trial in trials:
        with tempfile.TemporaryDirectory() as folder:
            begin = prepare(trial, Path(folder), "cpu")
            train(
                begin.model,
                begin.images.train,
                begin.phase,
                seed=trial.seed,
                regularizer=begin.regularizer,
                strength=trial.entry.strength,
            )
            model = begin.model.eval()
            list(evaluate(model, begin.images, trial.evaluation, seed=trial.seed))
    return (time.perf_counter() - start) / len(trials)


def through_runner(trials: list[Trial], workers: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder))
        run = runner.run(
            runner.plan(trials, store),
            Path(folder),
            store,
            partial(run_local, workers=workers, device="cpu"),
        )
        ends = [time.perf_counter() for _ in run]
        ends[-1] = time.perf_counter()  # the last is also written
        return (ends[-1] - ends[workers - 1]) / (len(ends) - workers)


def ray_task_seconds(trials: list[Trial]) -> tuple[float, float]:
    """Seconds that a task takes beyond its work, and of the driver for each task's results."""
    with tempfile.TemporaryDirectory() as folder:
        home, starts, ends, work = Path(folder), [], [], []
        store = open_store(home)
        for outcome in runner.run(
            runner.plan(trials, store),
            home,
            store,
            partial(run_ray, device="cpu"),
            on_start=lambda trial: starts.append(time.perf_counter()),
        ):
            ends.append(time.perf_counter())
            work.append(outcome.train_seconds + outcome.evaluate_seconds)
        again = time.perf_counter()
        outcomes = collect(home, open_store(home / "again"))
        driver = (time.perf_counter() - again) / outcomes
    latency = statistics.median(
        end - start - spent for start, end, spent in zip(starts[2:], ends[2:], work[2:])
    )
    return latency, driver


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--ray", action="store_true", help="also measure a Ray task and predict clusters from it"
    )
    arguments = parser.parse_args()
    configure()
    trials = selection(seeds=6)
    print(
        f"torch {torch.__version__}, {len(trials)} trials, medians of {ROUNDS} rounds",
        file=sys.stderr,
    )
    plain_loop(trials[:1])
    rounds = [
        (plain_loop(trials), through_runner(trials, 1), through_runner(trials, 2))
        for _ in range(ROUNDS)
    ]
    plain, one, two = (statistics.median(times) for times in zip(*rounds))
    print("| | s a trial | × |\n|---|---|---|")
    print(f"| plain loop | {plain:.2f} | 1 |\n| runner, 1 worker | {one:.2f} | {one / plain:.2f} |")
    print(
        f"| runner, 2 workers | {two:.2f} | {two / plain:.2f}, {one / two:.2f} × as fast as one |"
    )
    if arguments.ray:
        latency, driver = ray_task_seconds(trials)
        print(
            f"\nRay: a task takes {latency:.2f} s beyond its work, "
            f"the driver {1000 * driver:.0f} ms for its results\n"
        )
        print(
            "| a group lasts |"
            + "".join(f" {count} GPUs |" for count in GPUS)
            + "\n|---|"
            + "---|" * len(GPUS)
        )
        for minutes in MINUTES:
            seconds = 60 * minutes
            # A GPU waits `latency` after each group; the driver takes one group's results at a
            # time.
            shares = [
                min(seconds / (seconds + latency), (seconds + latency) / (count * driver))
                for count in GPUS
            ]
            print(
                f"| {minutes:g} min |"
                + "".join(f" {100 * min(share, 1):.0f} % |" for share in shares)
            )


if __name__ == "__main__":
    main()
