"""The stacked engine: trials that share data, network, method and recipe train as one model with
parameters [M, …].

Each of the M models keeps its own seed, data order, λ, chance and state, so that it ends with the
parameters that `benchmark.training.train` would give it. It pays where a single model's step leaves
the device idle: small nets on a GPU, which then goes through the steps by itself (`captured`). On a
CPU it does not, and is not used there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from torch import nn

from ..data.splits import Split
from ..regularizer import Regularizer
from .captured import captured
from .loop import Training, all_finite
from .networks import batch_norms, draws_in_training
from .phase import Phase
from .stack import Stack

WARM_UP = 2  # steps until all are alike: a warm start draws in its first only


def stackable(model: nn.Module) -> bool:
    """Whether the engine can train this network: no parameter stays as it is, its layers draw no
    numbers, and no BatchNorm averages over all of its batches, which takes their count from the
    device.
    """
    whole = all(parameter.requires_grad for parameter in model.parameters())
    averaging = any(norm.momentum is None for norm in batch_norms(model))
    return whole and not averaging and not draws_in_training(model)


def train_stacked(
    models: Sequence[nn.Module],
    split: Split,
    phase: Phase,
    *,
    seeds: Sequence[int],
    strengths: Sequence[float],
    regularizer: Regularizer | None = None,
    capture: bool = True,
) -> list[Training]:
    """Trains M models in place, each as `benchmark.training.train` would with its own seed and λ.

    A model that diverges is reported so and goes on as NaN beside the others, which it does not
    touch.

    Args:
        models: of one architecture that is `stackable`, on the split's device.
        split: the training images.
        seeds, strengths: [M]; every λ > 0, or no regularizer.
        capture: on a GPU, let the device go through the steps as CUDA graphs where it can.
    Returns:
        One Training for each, whose seconds are its share of the whole.
    """
    stack = Stack(models, split, phase, seeds, strengths, regularizer)
    meter, graph = stack.meter, None
    start, done = time.perf_counter(), 0
    while done < phase.iterations and not meter.all_diverged:
        steps = stack.begin_pass(done)
        at, done = 0, done + steps
        while at < steps:
            if graph is None and capture and stack.taken >= WARM_UP:
                graph = captured(stack)
                capture = graph is not None
            if graph is not None and steps - at >= graph.steps:
                graph.replay()
                at += graph.steps
            else:
                stack.step(at)
                at += 1
        stack.after_epoch()
        meter.close(done)
    seconds = (time.perf_counter() - start) / len(models)
    engine = f"stacked, {len(models)} models" + (", captured" if graph else "")
    results = []
    for m, model in enumerate(models):
        stack.put(model, m)
        model.eval()
        finite = m not in meter.ended and all_finite(model.parameters())
        results.append(
            Training(
                "finished" if finite else "diverged",
                meter.ended.get(m, done),
                seconds,
                meter.epochs[m],
                {name: value[m] for name, value in stack.state.items()},
                engine,
            )
        )
    return results
