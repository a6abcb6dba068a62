"""Cost of each regularizer as a multiple of the plain training step: `python
tests/speed/regularizers.py`.

All methods take turns within one run, in an order of chance, so that whatever else the machine does
falls on all of them; medians of the rounds. Beside the registered methods stand the implementations
that they replace.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.regularizer import Noise, Regularizer, Step, load_regularizer
from benchmark.training import networks
from benchmark.training.networks import couples_examples
from registry.load import Registry

REGISTRY = Registry()
NETS = (("lenet_300_100", "mnist"), ("lenet_5", "mnist"), ("conv4_bn", "cifar10"))
METHODS = (
    "none",
    "weight_decay",
    "input_gradient",
    "jacobian",
    "jacobian:projections=1",
    "cross_lipschitz",
    "cross_lipschitz:projections=1",
    "curvature",
    "curvature_finite_difference",
    "data_dependent_operator_norm",
    "data_dependent_operator_norm:iterations=10",
    "global_spectral_norm",
    "adversarial_training",
    "convex_mix",
    "trades",
    "llr",
    "grad_align",
    "elle",
)


def with_input_graph(step: Step) -> tuple[Tensor, Tensor]:
    x = step.x.detach().requires_grad_()
    return x, step.model(x)


@dataclass(frozen=True)
class PairLoop(Regularizer):
    """Cross-Lipschitz by a loop over unordered pairs of classes, one double backward pass each."""

    def penalty(self, step: Step) -> Tensor:
        x, logits = with_input_graph(step)
        K, total = logits.shape[1], torch.zeros(())
        for k in range(K):
            for m in range(k):
                (difference,) = torch.autograd.grad(
                    (logits[:, k] - logits[:, m]).sum(), x, create_graph=True
                )
                total = total + 2 * difference.square().sum() / K**2
        return total / len(x)


@dataclass(frozen=True)
class PlainDoubleBackward(Regularizer):
    """Hoffman et al.'s estimator with one projection by plain autograd, the loss from the penalty's
    own forward pass.
    """

    def losses_and_penalty(self, step: Step) -> tuple[Tensor, Tensor]:
        x, logits = with_input_graph(step)
        u = step.randn(tuple(logits.shape))
        u = u / u.norm(dim=1, keepdim=True)
        (gradient,) = torch.autograd.grad(logits, x, u, create_graph=True)
        return F.cross_entropy(logits, step.y), logits.shape[1] * gradient.square().sum() / len(x)


def registered(id: str) -> Regularizer:
    method, params = REGISTRY.method_and_params(id)
    return load_regularizer(method.folder, params)


def training_step(
    net: nn.Module, x: Tensor, y: Tensor, regularizer: Regularizer | None
) -> Callable[[], None]:
    """One step as the trainer takes it, the optimizer's part included."""
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-6, momentum=0.9)
    parameters = dict(net.named_parameters())
    shared, state, generator = not couples_examples(net), {}, torch.Generator().manual_seed(0)

    def run() -> None:
        net.train()
        if regularizer is None:
            loss = F.cross_entropy(net(x), y)
        else:
            if not shared:
                net.eval()
            step = Step(
                net, x, y, parameters=parameters, strength=0.05, noise=Noise(generator), state=state
            )
            if isinstance(regularizer, PlainDoubleBackward):
                loss, penalty = regularizer.losses_and_penalty(step)
            else:
                images = regularizer.training_input(step)
                step = step if images is x else step.at(images)
                penalty, loss = regularizer.penalty(step).mean(), None
            if not shared:
                net.train()
                loss = F.cross_entropy(net(step.x), y)
            elif loss is None:
                loss = step.losses.mean()
            loss = loss + 1e-3 * penalty
        optimizer.zero_grad()
        loss.backward(inputs=list(parameters.values()))
        optimizer.step()

    return run


def measure(
    network: str, dataset: str, rounds: int, batch_size: int, with_pairs: bool
) -> dict[str, float]:
    """Seconds a step of each method, medians of interleaved rounds."""
    source = REGISTRY.dataset(dataset)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand((batch_size, *source.shape), generator=generator)
    y = torch.randint(source.num_classes, (batch_size,), generator=generator)
    contestants: dict[str, Regularizer | None] = {"plain step": None} | {
        id: registered(id) for id in METHODS
    }
    contestants |= {"plain double backward (Hoffman et al.)": PlainDoubleBackward()}
    if with_pairs:
        contestants |= {"loop over pairs (cross_lipschitz)": PairLoop()}
    steps = {
        name: training_step(
            networks.placed(networks.create(REGISTRY.architecture(network), source, seed=0), "cpu"),
            x,
            y,
            regularizer,
        )
        for name, regularizer in contestants.items()
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    turns, chance = list(steps.items()), random.Random(0)
    for number in range(rounds + 2):
        chance.shuffle(turns)  # what ran before leaves the caches warm or cold
        for name, step in turns:
            start = time.perf_counter()
            step()
            if number >= 2:  # the first two warm up
                times[name].append(time.perf_counter() - start)
    return {name: median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument(
        "--network",
        nargs="+",
        choices=[name for name, _ in NETS],
        default=[name for name, _ in NETS],
    )
    parser.add_argument(
        "--no-pairs", action="store_true", help="leave out the slow loop over pairs"
    )
    arguments = parser.parse_args()
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, "
        f"batch {arguments.batch_size}, median of {arguments.rounds} rounds\n"
    )
    for network, dataset in NETS:
        if network in arguments.network:
            seconds = measure(
                network, dataset, arguments.rounds, arguments.batch_size, not arguments.no_pairs
            )
            plain = seconds.pop("plain step")
            print(f"| {network}: plain step {1e3 * plain:.1f} ms | × |\n|---|---|")
            print(
                "\n".join(f"| {name} | {value / plain:.2f} |" for name, value in seconds.items()),
                flush=True,
            )


if __name__ == "__main__":
    main()
