"""Our attacks beside Foolbox's on one network: python tests/speed/attacks.py [--images 1000]
[--rounds 5] [--device cpu].

Rounds are interleaved and medians compared, so that a slow moment of the machine hits both. A ratio
above 1 says how many times faster ours is. Each line also shows what each attack reached, since a
fast weak attack is none.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from statistics import median

import torch
from nets import lenet_5
from sklearn.datasets import load_digits
from torch import Tensor, nn

from benchmark.attacks import attack
from benchmark.attacks.perturbation import size
from registry.spec import Threat

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import foolbox
    from foolbox import attacks as theirs


def trained(device: str, images: int) -> tuple[nn.Module, Tensor, Tensor]:
    """LeNet-5 on digits enlarged to 28×28, channels last, with `images` images to attack."""
    data = load_digits()
    x = nn.functional.interpolate(
        torch.tensor(data.images / 16, dtype=torch.float32)[:, None], 28, mode="bilinear"
    )
    x, y = x.to(device), torch.tensor(data.target, device=device)
    torch.manual_seed(0)
    model = lenet_5().to(device).to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(100):
        some = torch.randperm(len(x), device=device)[:128]
        loss = nn.functional.cross_entropy(model(x[some]), y[some])
        for parameter, gradient in zip(
            model.parameters(), torch.autograd.grad(loss, tuple(model.parameters()))
        ):
            parameter.grad = gradient
        optimiser.step()
    return model.eval(), x[:images], y[:images]


def seconds(run: Callable[[], object], device: str) -> float:
    began = time.perf_counter()
    run()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    model, x, y = trained(given.device, given.images)
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device=given.device)
    step = 2.5 / 20
    pairs = [
        (Threat(attack="fgsm", norm="inf", epsilon=0.1), theirs.LinfFastGradientAttack()),
        (
            Threat(attack="pgd", norm="inf", epsilon=0.02, steps=20),
            theirs.LinfPGD(rel_stepsize=step, steps=20),
        ),
        (
            Threat(attack="pgd", norm="inf", epsilon=0.1, steps=20),
            theirs.LinfPGD(rel_stepsize=step, steps=20),
        ),
        (
            Threat(attack="pgd", norm="2", epsilon=1.0, steps=20),
            theirs.L2PGD(rel_stepsize=step, steps=20),
        ),
        (Threat(attack="deepfool", norm="2", steps=50), theirs.L2DeepFoolAttack(steps=50)),
        (
            Threat(attack="carlini_wagner", norm="2", steps=50),
            theirs.L2CarliniWagnerAttack(steps=50, stepsize=0.1),
        ),
    ]
    print(
        f"LeNet-5, {len(x)} images, {given.device}, {torch.get_num_threads()} thread(s), "
        f"medians of {given.rounds} interleaved rounds"
    )
    print(f"{'threat':<32}{'ours s':>9}{'foolbox s':>11}{'ratio':>8}   reached: ours, foolbox")
    for threat, reference in pairs:

        def ours(threat: Threat = threat):
            return attack(threat, model, x, y, seed=0)

        def other(threat: Threat = threat, reference: foolbox.Attack = reference):
            with torch.random.fork_rng([]):  # in batches as ours
                return [
                    reference(wrapped, images, labels, epsilons=threat.epsilon)
                    for images, labels in zip(x.split(512), y.split(512))
                ]

        found, parts = ours(), other()
        success = torch.cat([part[2] for part in parts])
        if threat.epsilon is None:
            distance = size(torch.cat([part[1] for part in parts]) - x, "2")
            ours_is, theirs_is = found.distance[found.success].mean(), distance[success].mean()
            reached = f"mean ℓ2 {ours_is:.4f}, {theirs_is:.4f}"
        else:
            reached = (
                f"accuracy {1 - found.success.float().mean():.3f}, {1 - success.float().mean():.3f}"
            )
        times = [
            (seconds(ours, given.device), seconds(other, given.device)) for _ in range(given.rounds)
        ]
        mine, foreign = median(pair[0] for pair in times), median(pair[1] for pair in times)
        print(
            f"{threat.id:<32}{mine:>9.3f}{foreign:>11.3f}{foreign / mine:>8.2f}   {reached}",
            flush=True,
        )


if __name__ == "__main__":
    main()
