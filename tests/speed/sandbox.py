"""What the sandbox costs a step: the trainer outside and the child that answers, against the
trainer alone.

Run: `python tests/speed/sandbox.py --rounds 200`. Both ways take turns; the least of all rounds
counts, as other processes may be using the machine. One thread each, as in a worker.
"""

import argparse
import random
import time
from contextlib import ExitStack

import torch
from regularizers import REGISTRY, registered, training_step

from benchmark.sandbox.answered import Answered
from benchmark.sandbox.training import answering
from benchmark.training import networks
from registry.spec import Entry

METHODS = (
    "input_gradient",
    "jacobian:projections=1",
    "cross_lipschitz",
    "global_spectral_norm",
    "adversarial_training",
)
TRACK, NETWORK, BATCH = "guo-fashion", "lenet_300_100", 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    source = REGISTRY.dataset(REGISTRY.track(TRACK).dataset)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand((BATCH, *source.shape), generator=generator)
    y = torch.randint(source.num_classes, (BATCH,), generator=generator)
    print("| method | alone, ms | × in the sandbox |\n|---|---|---|")
    for name in METHODS:
        alone, boxed = times(name, x, y, arguments.rounds)
        print(f"| {name} | {1e3 * alone:.2f} | {boxed / alone:.2f} |", flush=True)


def times(name: str, x: torch.Tensor, y: torch.Tensor, rounds: int) -> tuple[float, float]:
    """Seconds a step of a registered method, by itself and with a child that answers for it."""
    track = REGISTRY.track(TRACK)
    entry = Entry(dataset=track.dataset, architecture=NETWORK, regularizer=name, strength=0.05)
    trial = REGISTRY.trial(entry, track, 0)

    def net() -> torch.nn.Module:
        return networks.placed(networks.create(trial.architecture, trial.dataset, seed=0), "cpu")

    with ExitStack() as stack:
        model = net()
        child, tensors = stack.enter_context(answering(trial, model, tuple(x.shape)))
        answered = Answered(child, tensors, model, torch.Generator().manual_seed(0))
        turns = [
            training_step(net(), x, y, registered(name)),
            training_step(model, x, y, answered),
        ]
        found: list[list[float]] = [[], []]
        for _ in range(rounds):
            for i in random.sample((0, 1), 2):
                start = time.perf_counter()
                turns[i]()
                found[i].append(time.perf_counter() - start)
    return min(found[0]), min(found[1])


if __name__ == "__main__":
    main()
