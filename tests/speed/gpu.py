"""What a GPU gives: first that it gives the same, then how fast.

`python tests/speed/gpu.py [--device cuda] [--minutes 8] [--output gpu.json]`. On the CPU, `--device
cpu --steps 2 --models 1 3`, it runs through the same lines, and its figures say nothing.

- same: the stacked engine beside the sequential one, every method that can be stacked on both
  LeNets, in float64 and in float32; FGSM and PGD on many models at once beside each model's own.
- steps: milliseconds of a step of one model: alone, in a stack told every step by Python, and in
  one that goes from step to step by itself; and the memory that it takes.
- attacks: seconds of the attacks, AutoAttack's among them, and of the measures.
- track: a whole track, from the command line.

Goals, as multiples of the sequential step: 20 on LeNet-300-100 (input gradient, M = 80), 8 on
LeNet-5, and 5 for PGD. Exits with 1 where something is not the same. What does not fit into the
time is left out, and said.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.attacks import attack
from benchmark.attacks.stacked import attack_stacked
from benchmark.data.splits import Split
from benchmark.evaluation.examples import example_measures
from benchmark.regularizer import Regularizer, load_regularizer
from benchmark.training import networks
from benchmark.training.captured import captured
from benchmark.training.loop import train
from benchmark.training.phase import Phase
from benchmark.training.stack import Stack
from benchmark.training.stacked import WARM_UP, train_stacked
from registry.load import Registry
from registry.spec import Recipe, Threat

REGISTRY = Registry()
NETS = ("lenet_300_100", "lenet_5")
METHODS = ("input_gradient", "jacobian", "cross_lipschitz", "curvature", "adversarial_training")
GOALS = {("lenet_300_100", "input_gradient"): 20.0, ("lenet_5", "input_gradient"): 8.0}
PGD_GOAL = 5.0
SECTIONS = ("same", "steps", "attacks", "track")
DATA = REGISTRY.dataset("mnist")
IMAGES, BATCH = 8192, 64
ALONE = 8  # models whose attacks are timed one by one
DTYPES = (torch.float64, torch.float32)
# Twenty steps make of a rounding what the method makes of it: the two engines may be so many times
# as far apart as two sequential runs from weights that differ by float32's rounding. That is also
# the rounding in float64, where the optimizer reads its rate as float32.
ROUNDING, TIMES = 2.0**-24, 10.0
Rows = Iterator[dict[str, Any]]


class Double(Split):
    """Images in float64."""

    def pixels(self, index: Tensor | slice | None = None) -> Tensor:
        return super().pixels(index).double()


def images(device: str, dtype: torch.dtype) -> Split:
    """Of chance: what a step costs does not depend on what they show."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (IMAGES, *DATA.shape), dtype=torch.uint8, generator=generator)
    labels = torch.randint(DATA.num_classes, (IMAGES,), generator=generator)
    kind = Double if dtype == torch.float64 else Split
    return kind(pixels.to(device), labels.to(device), 255)


def models(net: str, count: int, device: str, dtype: torch.dtype) -> list[nn.Module]:
    architecture = REGISTRY.architecture(net)
    made = (networks.create(architecture, DATA, seed=seed) for seed in range(count))
    return [networks.placed(model.to(dtype), device) for model in made]


def phase(steps: int) -> Phase:
    recipe = Recipe(batch_size=BATCH, learning_rate=0.01, fine_tune_iterations=steps, ramp=0.2)
    return Phase.of(recipe, "fine_tune", IMAGES)


@contextmanager
def timed(device: str) -> Iterator[Callable[[], float]]:
    """Yields what tells the seconds, once the device has done all that it was given."""
    if device != "cpu":
        torch.cuda.synchronize()
    start, end = time.perf_counter(), [0.0]
    yield lambda: end[0] - start
    if device != "cpu":
        torch.cuda.synchronize()
    end[0] = time.perf_counter()


def strength_of(method: str) -> float:
    grid = [strength for strength in REGISTRY.regularizer(method).card.grid if strength > 0]
    return grid[len(grid) // 2]


def method_of(name: str) -> Regularizer:
    return load_regularizer(REGISTRY.regularizer(name).folder, {})


def both(net: str, name: str, device: str, dtype: torch.dtype) -> dict[str, Any]:
    """How far apart two models end that are trained alone and as one, how far what are trained
    alone are moved by rounding, and the engine.
    """
    alone = models(net, 2, device, dtype)
    stacked, nudged = copy.deepcopy(alone), copy.deepcopy(alone)
    with torch.no_grad():
        for parameter in (p for model in nudged for p in model.parameters()):
            parameter += ROUNDING * parameter * torch.randn_like(parameter)
    split, method, strength = images(device, dtype), method_of(name), strength_of(name)
    for seed, model in (*enumerate(alone), *enumerate(nudged)):
        train(model, split, phase(20), seed=seed, regularizer=method, strength=strength)
    given = {"seeds": range(2), "strengths": [strength] * 2, "regularizer": method}
    trained = train_stacked(stacked, split, phase(20), **given)
    distance = max(map(far, alone, stacked))
    rounding = max(ROUNDING, *map(far, alone, nudged))
    return {
        "distance": distance,
        "rounding": rounding,
        "same": distance <= TIMES * rounding,
        "engine": trained[0].engine,
    }


def far(one: nn.Module, other: nn.Module) -> float:
    """Relative distance of all weights."""
    here, there = (torch.cat([p.detach().flatten() for p in m.parameters()]) for m in (one, other))
    return float((here - there).norm() / here.norm())


def correctness(nets: Sequence[str], device: str, within: Callable[[], bool]) -> Rows:
    cards = {name: REGISTRY.regularizer(name).card for name in REGISTRY.regularizer_folders}
    asked = [
        (name, f"{net}:activation=swish" if card.smooth_activation else net, dtype)
        for name, card in sorted(cards.items())
        if name != "none" and card.stackable
        for net in nets
        for dtype in DTYPES
    ]
    for name, net, dtype in asked:
        if not within():
            return
        what = f"{name} on {net}, {str(dtype).removeprefix('torch.')}"
        try:
            yield {"what": what} | both(net, name, device, dtype)
        except Exception as error:  # the others are still to be looked at
            yield {"what": what, "same": False, "error": f"{type(error).__name__}: {error}"[:200]}
    for net in nets:
        if within():
            yield attacks_alike(net, device)


def attacks_alike(net: str, device: str) -> dict[str, Any]:
    """PGD in float64 on three models at once, and on each."""
    nets = [model.eval() for model in models(net, 3, device, torch.float64)]
    split = images(device, torch.float64)
    x, y = split.pixels(slice(256)), split.labels[:256]
    threat = Threat(attack="pgd", norm="inf", epsilon=0.1)
    given = {"x": x, "y": y, "batch_size": 512}
    alone = [attack(threat, nets[m], seed=m, **given).success for m in range(3)]
    (together,) = attack_stacked([threat], nets, seeds=range(3), **given)
    differ = float((torch.stack(alone) != together.success).double().mean())
    return {"what": f"pgd on {net}, float64", "distance": differ, "same": differ == 0}


def stacked_ms(
    net: str, name: str, count: int, steps: int, device: str, capture: bool
) -> float | None:
    """Of a step of one of so many models; None where it cannot be captured."""
    split, strength = images(device, torch.float32), strength_of(name)
    nets = models(net, count, device, torch.float32)
    plan = phase(IMAGES // BATCH)
    stack = Stack(nets, split, plan, range(count), [strength] * count, method_of(name))
    stack.begin_pass(0)
    for at in range(WARM_UP):
        stack.step(at)
    steps_left = iter(range(WARM_UP, IMAGES // BATCH))
    at_once = 1

    def advance() -> None:
        stack.step(next(steps_left))

    if capture:
        graph = captured(stack)
        if graph is None:
            return None
        advance, at_once = graph.replay, graph.steps
    advance()
    rounds = max(1, steps // at_once)
    with timed(device) as seconds:
        for _ in range(rounds):
            advance()
    return 1000 * seconds() / (count * rounds * at_once)


def steps_of(
    nets: Sequence[str], device: str, counts: list[int], steps: int, within: Callable[[], bool]
) -> Rows:
    split = images(device, torch.float32)
    for net, name in product(nets, METHODS):
        if not within():
            return
        (model,) = models(net, 1, device, torch.float32)
        alone = partial(train, model, split, seed=0, regularizer=method_of(name))
        alone(phase(3), strength=strength_of(name))  # warms the device up
        with timed(device) as seconds:
            alone(phase(steps), strength=strength_of(name))
        ms = 1000 * seconds() / steps
        for count in counts:
            if not within():
                return
            if device != "cpu":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            told_each = stacked_ms(net, name, count, steps, device, capture=False)
            assert told_each is not None
            by_itself = stacked_ms(net, name, count, steps, device, capture=True)
            yield {
                "what": f"{name} on {net}, M = {count}",
                "ms_alone": ms,
                "ms_stacked": told_each,
                "ms_captured": by_itself,
                "times": ms / min(told_each, by_itself or told_each),
                "goal": GOALS.get((net, name)) if count == 80 else None,
                "peak_MiB": None if device == "cpu" else torch.cuda.max_memory_allocated() >> 20,
            }


def attacks(chosen: Sequence[str], device: str, count: int, within: Callable[[], bool]) -> Rows:
    threat = Threat(attack="pgd", norm="inf", epsilon=0.1)
    for net in chosen:
        (first,) = models(net, 1, device, torch.float32)
        nets = [copy.deepcopy(first.eval()) for _ in range(count)]
        x = images(device, torch.float32).pixels(slice(1000))
        with torch.no_grad():
            y = first(x).argmax(1)  # nothing has fallen before the attack
        if not within():
            return
        for again in (False, True):  # the first time warms the device up
            some = nets[: ALONE if again else 1]
            with timed(device) as apart:
                for seed, model in enumerate(some):
                    attack(threat, model, x, y, seed=seed)
            with timed(device) as together:
                attack_stacked([threat], nets, x, y, seeds=range(count), batch_size=512)
        ms, ms_stacked = 1000 * apart() / len(some), 1000 * together() / count
        yield {
            "what": f"pgd on {net}, M = {count}",
            "ms_alone": ms,
            "ms_stacked": ms_stacked,
            "times": ms / ms_stacked,
            "goal": PGD_GOAL,
        }
        if not within():
            return
        with timed(device) as seconds:
            attack(
                Threat(attack="autoattack", norm="inf", epsilon=0.02),
                first,
                x[:200],
                y[:200],
                seed=0,
            )
        yield {"what": f"AutoAttack on {net}, 200 images", "s": seconds()}
        with timed(device) as seconds:
            example_measures(first, x, y)
        yield {"what": f"measures on {net}", "images_a_second": len(x) / seconds()}


def whole_track(device: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        run = [sys.executable, "-m", "benchmark.commands", "run", "quickstart", "--device", device]
        here = {"REGBENCH_HOME": home, "REGBENCH_RESULTS": f"{home}/none"}
        start = time.perf_counter()
        subprocess.run(run, check=True, env=os.environ | here, stdout=subprocess.DEVNULL)
        return {"what": "quickstart, from the command line", "s": time.perf_counter() - start}


def told(row: dict[str, Any]) -> str:
    words = [f"{row['what']:<56}"]
    for name, value in row.items():
        if name != "what" and value is not None:
            words.append(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}")
    return "  ".join(words)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--models", type=int, nargs="+", default=[1, 10, 40, 80])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--nets", nargs="+", default=NETS, choices=NETS)
    parser.add_argument("--sections", nargs="+", default=SECTIONS, choices=SECTIONS)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    end = time.monotonic() + 60 * given.minutes

    def within() -> bool:
        return time.monotonic() < end

    torch.backends.cudnn.allow_tf32 = False
    name = "cpu" if given.device == "cpu" else torch.cuda.get_device_name()
    print(f"{name}, torch {torch.__version__}")
    rows = []
    sections = {
        "same": correctness(given.nets, given.device, within),
        "steps": steps_of(given.nets, given.device, given.models, given.steps, within),
        "attacks": attacks(given.nets, given.device, given.models[-1], within),
        "track": (whole_track(given.device) for _ in range(1) if within()),
    }
    for section in given.sections:
        for row in sections[section]:
            rows.append(row)
            print(told(row), flush=True)
            if given.output:
                found = {"device": name, "torch": torch.__version__, "rows": rows}
                given.output.write_text(json.dumps(found, indent=1) + "\n")
    if not within():
        print(f"the {given.minutes:g} minutes are over: what follows was left out")
    return 0 if all(row.get("same", True) for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
