"""The verified tier's union beside AutoAttack on all images, on one network undefended and one
trained adversarially, at several ε: python tests/speed/union.py [--images 300].

Goals: 3 times as fast on the undefended network, 1.5 times on the robust one, and no higher
accuracy than AutoAttack's on either. Exits with 1 where one is missed.

Or on seed 0's networks of entries that $REGBENCH_HOME holds trained, within their headline's ε:
python tests/speed/union.py 'open-fashion/lenet_300_100/none/*' --images 200
"""

from __future__ import annotations

import argparse
import time
from typing import TypedDict

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from benchmark.attacks import attack, pgd, unit_ball
from benchmark.evaluation.union import union
from benchmark.records.home import TrialFolder, home
from benchmark.trials.run import trained as in_home
from registry.load import Registry
from registry.spec import Norm, Threat

TRAINED = 0.15
EPSILONS = (0.03, 0.06, 0.15, 0.3)
GOALS = {"undefended": 3.0, "robust": 1.5}


class Ball(TypedDict):
    norm: Norm
    epsilon: float


def trained(robust: bool, x: Tensor, y: Tensor) -> nn.Module:
    """LeNet-300-100 on digits, on clean images or on PGD's."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(),
        nn.Linear(100, 10),
    )  # fmt: skip
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(600):
        some = torch.randint(len(x), (128,))
        images = x[some]
        if robust:
            start = unit_ball(images.shape, "inf", rand=torch.rand, randn=torch.randn)
            images = pgd(model, images, y[some], TRAINED, steps=5, start=start, keep="last")
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(images), y[some]).backward()
        optimiser.step()
    return model.eval()


def warm_up() -> None:
    """Once through all that is loaded late."""
    x = torch.rand(20, 1, 8, 8)
    model = trained(False, x, torch.arange(20) % 10)
    union(Threat(attack="union", norm="inf", epsilon=0.1), model, x, model(x).argmax(1), 0, None)


def compare(name: str, model: nn.Module, x: Tensor, y: Tensor, within: Ball) -> tuple[float, bool]:
    """Prints a line; how many times as fast the union is, and whether it leaves no more images."""
    start = time.process_time()
    ours = union(Threat(attack="union", **within), model, x, y, 0, None)
    middle = time.process_time()
    direct = attack(Threat(attack="autoattack", **within), model, x, y, seed=0)
    cheap, dear = middle - start, time.process_time() - middle
    mine, theirs = (float((~found.success).double().mean()) for found in (ours, direct))
    print(
        f"{name:<46} ε {within['epsilon']:<5g} union {cheap:6.2f} s, accuracy {mine:.3f}   "
        f"AutoAttack {dear:6.2f} s, accuracy {theirs:.3f}   {dear / cheap:4.1f} times as fast",
        flush=True,
    )
    return dear / cheap, mine <= theirs


def of_goals(count: int) -> bool:
    """Are all met?"""
    digits = load_digits()
    x = torch.tensor(digits.images / 16, dtype=torch.float32)[:, None]
    y = torch.tensor(digits.target)
    met = True
    for name, goal in GOALS.items():
        model = trained(name == "robust", x[count:], y[count:])
        for epsilon in EPSILONS:
            within: Ball = {"norm": "inf", "epsilon": epsilon}
            times, no_more = compare(name, model, x[:count], y[:count], within)
            well = times >= goal and no_more
            met &= well
            print(f"    goal {goal:g}: {'met' if well else 'MISSED'}", flush=True)
    return met


def of_trials(selectors: list[str], count: int) -> None:
    for track, trial in Registry().select(selectors):
        if trial.seed or not TrialFolder(home(), trial.key).is_trained:
            continue
        data, _, model = in_home(trial, home(), "cpu")
        some = torch.arange(min(count, len(data.test)))
        threat = track.headline_threat
        assert threat.epsilon is not None
        within: Ball = {"norm": threat.norm, "epsilon": threat.epsilon}
        compare(trial.entry.id, model, data.test.pixels(some), data.test.labels[some], within)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("selectors", nargs="*")
    parser.add_argument("--images", type=int, default=300)
    given = parser.parse_args()
    torch.set_num_threads(1)
    warm_up()
    if given.selectors:
        of_trials(given.selectors, given.images)
        return 0
    return 0 if of_goals(given.images) else 1


if __name__ == "__main__":
    raise SystemExit(main())
