"""Attacks on many models of one architecture at once: M·B images a pass, as B would leave the
device idle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from registry.spec import AttackName, Threat

from .carlini_wagner import carlini_wagner
from .fmn import fmn
from .frozen import Model
from .objective import misclassified
from .perturbation import drawn_unit_ball, size
from .pgd import fgsm, pgd

STARTS = 2**28  # numbers of random starts, or of images, held at once
# Minimal attacks none of whose steps depends on data: mapped over models they take the same steps.
MINIMAL: dict[AttackName, Callable[..., Tensor]] = {"carlini_wagner": carlini_wagner, "fmn": fmn}


class Fallen(NamedTuple):
    """What one threat did to each image of each model."""

    success: Tensor  # [M,N] bool: the model is wrong about it, before the attack or after it
    distance: Tensor  # [M,N], as `Attacked.distance`


def fusable(threat: Threat) -> bool:
    """Whether no step of the attack depends on what another image does: a restart is on those that
    none has broken, and DeepFool leaves out those that it has crossed.
    """
    if threat.is_minimal:
        return threat.attack in MINIMAL
    return threat.has_curves and threat.restarts in (None, 1)


def attack_stacked(
    threats: Sequence[Threat],
    models: Sequence[nn.Module],
    x: Tensor,
    y: Tensor,
    *,
    seeds: Sequence[int],
    batch_size: int,
) -> list[Fallen]:
    """What `attack` or `attack_curve` finds for each model with its own seed, up to rounding.

    Examples that have fallen are attacked to the end all the same: that is the price of one pass
    for all models.

    Args:
        threats: fusable ones that differ in ε alone.
        models: M in evaluation mode, on the images' device.
        x: [N,C,H,W] in [0,1].
        y: [N] class indices.
        seeds: [M], of the random starts.
        batch_size: images of each model attacked at once.
    """
    fitting = max(1, STARTS // x.numel())
    if len(models) > fitting:
        some = [
            attack_stacked(
                threats,
                models[at : at + fitting],
                x,
                y,
                seeds=seeds[at : at + fitting],
                batch_size=batch_size,
            )
            for at in range(0, len(models), fitting)
        ]
        return [Fallen(*map(torch.cat, zip(*each))) for each in zip(*some)]
    first, base = threats[0], models[0]
    parameters, buffers = stack_module_state(list(models))
    parameters = {name: parameter.detach() for name, parameter in parameters.items()}
    starts = None if first.single_step or first.is_minimal else _starts(first, x, seeds)

    def fallen(
        parameters: dict[str, Tensor],
        buffers: dict[str, Tensor],
        start: Tensor | None,
        x: Tensor,
        y: Tensor,
    ) -> tuple[Tensor, Tensor]:
        def model(images: Tensor) -> Tensor:
            return functional_call(base, (parameters, buffers), (images,))

        already, found = misclassified(model(x), y), []
        for threat in threats:
            adversarial = _adversarial(threat, model, x, y, start)
            success = already | misclassified(model(adversarial), y)
            distance = size(adversarial - x, threat.norm)
            if threat.is_minimal:
                distance = distance.where(success, torch.inf)
            found.append((success, distance.where(~already, 0.0)))
        successes, distances = zip(*found)
        return torch.stack(successes), torch.stack(distances)

    over_models = vmap(fallen, in_dims=(0, 0, None if starts is None else 0, None, None))
    found = []
    with torch.no_grad():
        for some in torch.arange(len(x), device=x.device).split(batch_size):
            start = None if starts is None else starts[:, some]
            found.append(over_models(parameters, buffers, start, x[some], y[some]))
    success, distance = (torch.cat(each, 2).unbind(1) for each in zip(*found))
    return [Fallen(*each) for each in zip(success, distance)]


def _adversarial(
    threat: Threat, model: Model, x: Tensor, y: Tensor, start: Tensor | None
) -> Tensor:
    """The images [N,C,H,W] that the kernel finds, for all examples."""
    given = threat.model_dump(include={"steps", "step_size", "loss"}, exclude_none=True)
    if threat.attack == "fmn":
        given["norm"] = threat.norm
    if threat.is_minimal:
        return MINIMAL[threat.attack](model, x, y, **given)
    assert threat.epsilon is not None
    if start is None:
        return fgsm(model, x, y, threat.epsilon, threat.norm)
    return pgd(model, x, y, threat.epsilon, threat.norm, start=start, mapped=True, **given)


def _starts(threat: Threat, x: Tensor, seeds: Sequence[int]) -> Tensor:
    """[M,N,C,H,W]: each model's, drawn as `attack` does for the whole set."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    starts = [drawn_unit_ball(x.shape, threat.norm, each, x.dtype) for each in generators]
    return torch.stack(starts).to(x.device)
