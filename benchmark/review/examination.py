"""What `regbench check` asks of a submission inside the sandbox, in order: the cheap and telling
first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from registry.spec import Card

from ..records.reports import Finding
from ..regularizer import objective
from . import tampering
from .demands import DEMANDS, Demand
from .demands_of_the_card import DEMANDS_OF_THE_CARD
from .specimen import Subject, batch, gradients, losses_and_penalty, plain, step_of, variants
from .unfit import Unfit, finite_gradient, require, require_finite

COSTLIEST = 100.0  # × the plain step
STEPS = 10  # over which the cost is measured, twice

Find = Callable[[], str]


def findings(card: Card, folder: Path, say_doing: Callable[[str], None]) -> Iterator[Finding]:
    """Yields one finding a check of a submission that can be imported."""
    before, subject = tampering.functions(), Subject(card, folder)

    def found(check: str, find: Find) -> Finding:
        say_doing(check)
        try:
            return Finding(check, True, find())
        except Unfit as error:
            return Finding(check, False, str(error))
        except Exception as error:  # a submission's own, whatever it is
            return Finding(check, False, f"{type(error).__name__}: {error}")

    told: set[str] = set()
    for check, find in _questions(subject, variants(card, folder), before):
        finding = found(check, find)
        if finding.ok or finding.detail not in told:  # one mistake fails many checks
            yield finding
        told.add(finding.detail)


def _questions(
    subject: Subject, subjects: list[Subject], before: tampering.Functions
) -> Iterator[tuple[str, Find]]:
    for check, demand in DEMANDS.items():
        yield check, partial(_asked, demand, subjects)
    for check, demand in DEMANDS_OF_THE_CARD.items():
        yield check, partial(_asked, demand, [subject])
    yield "the penalty and its gradient are finite over the grid of λ", partial(_sweep, subject)
    yield f"a step costs at most {COSTLIEST:g} × a plain one", partial(_cost, subject)
    yield "torch and the benchmark are left as they are", partial(_unchanged, before)


def _asked(demand: Demand, subjects: list[Subject]) -> str:
    for subject in subjects:
        try:
            demand(subject)
        except Unfit as error:
            raise Unfit(f"{subject.id}: {error}" if subject.params else str(error)) from None
    return "" if len(subjects) == 1 else f"{len(subjects)} variants"


def _sweep(subject: Subject) -> str:
    """At every λ of the card the objective's gradient, on a net at its start and on one that is far
    too sure of itself.
    """
    x, y = batch(32, dtype=torch.float32)
    for scale in (1.0, 30.0):
        model = plain(subject, dtype=torch.float32)
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(scale)
        for strength in subject.card.grid:
            where = f"at λ = {strength:g}"
            if scale > 1:
                where += f" on weights {scale:g} × as large"
            finite_gradient(subject, model, x, y, where)
            step = step_of(subject, model, x, y, strength=strength)
            found = gradients(objective(subject.load(), step, strength).total, model)
            require_finite(found, f"the gradient is not finite {where}")
    return f"{len(subject.card.grid)} values"


def _cost(subject: Subject) -> str:
    """The objective's gradient against the plain loss's, on a batch of 64."""
    x, y = batch(64, dtype=torch.float32)
    activation = nn.SiLU if subject.card.smooth_activation else nn.ReLU
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 300),
        activation(),
        nn.Linear(300, 100),
        activation(),
        nn.Linear(100, 4),
    )
    regularizer = subject.load()

    def penalised() -> None:
        losses, penalty = losses_and_penalty(regularizer, step_of(subject, model, x, y))
        gradients(losses.mean() + penalty.mean(), model)

    def alone() -> None:
        gradients(F.cross_entropy(model(x), y), model)

    cost = _seconds(penalised) / _seconds(alone)
    require(cost <= COSTLIEST, f"a step costs {cost:.0f} × a plain one")
    return f"{cost:.1f} ×"


def _seconds(step: Callable[[], None]) -> float:
    """The least of several: other processes may be using the machine, and processor time is too
    coarse for one step.
    """
    times = []
    for _ in range(2 * STEPS):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return min(times[STEPS:])


def _unchanged(before: tampering.Functions) -> str:
    changed = tampering.replaced(before)
    require(not changed, f"it replaces {', '.join(changed[:3])}")
    return ""
