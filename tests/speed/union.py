"""The verified tier's union beside AutoAttack on all images, on one network undefended and one
trained adversarially, at several ε: python tests/speed/union.py [--images 300].

Goals: 3 times as fast on the undefended network, 1.5 times on the robust one, and no higher
accuracy than AutoAttack's on either. Exits with 1 where one is missed.
"""

from __future__ import annotations

import argparse
import time

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from benchmark.attacks import attack, pgd, unit_ball
from benchmark.evaluation.union import union
from registry.spec import Threat

TRAINED = 0.15
EPSILONS = (0.03, 0.06, 0.15, 0.3)
GOALS = {"undefended": 3.0, "robust": 1.5}


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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=300)
    count = parser.parse_args().images
    torch.set_num_threads(1)
    digits = load_digits()
    x = torch.tensor(digits.images / 16, dtype=torch.float32)[:, None]
    y = torch.tensor(digits.target)
    met = True
    for name, goal in GOALS.items():
        model = trained(name == "robust", x[count:], y[count:])
        for epsilon in EPSILONS:
            within = {"norm": "inf", "epsilon": epsilon}
            start = time.process_time()
            ours = union(Threat(attack="union", **within), model, x[:count], y[:count], 0, None)
            middle = time.process_time()
            direct = attack(
                Threat(attack="autoattack", **within), model, x[:count], y[:count], seed=0
            )
            cheap, dear = middle - start, time.process_time() - middle
            mine, theirs = (float((~found.success).double().mean()) for found in (ours, direct))
            well = dear / cheap >= goal and mine <= theirs
            met &= well
            print(
                f"{name:<11} ε {epsilon:<5g} union {cheap:6.1f} s, accuracy {mine:.3f}   "
                f"AutoAttack {dear:6.1f} s, accuracy {theirs:.3f}   {dear / cheap:4.1f} times as "
                f"fast (goal {goal:g}): {'met' if well else 'MISSED'}",
                flush=True,
            )
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
