"""Attacks on any classifier of images, for any number of classes: `attack` runs a registered threat on a test set.

The kernels are pure functions that training may use as well: `fgsm`, `pgd`, `deepfool`, `carlini_wagner`.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from registry.spec import InputError, Threat

from .autoattack import autoattack
from .carlini_wagner import carlini_wagner
from .deepfool import deepfool
from .frozen import Model, frozen, in_blocks
from .objective import LOSSES, margin, misclassified
from .perturbation import size, unit_ball
from .pgd import fgsm, pgd

__all__ = ["Attacked", "attack", "autoattack", "carlini_wagner", "deepfool", "fgsm", "margin", "misclassified", "pgd",
           "unit_ball"]

MINIMAL = ("deepfool", "carlini_wagner")  # they search the smallest perturbation, in ℓ2


@dataclass(frozen=True)
class Attacked:
    """What a threat did to each example, on the images' device."""
    adversarial: Tensor  # [N,C,H,W]
    success: Tensor  # [N] bool: the adversarial image is misclassified; True too where the clean one already is
    distance: Tensor  # [N] norm of adversarial − x: 0 where clean is already wrong, inf where a minimal attack failed
    info: dict[str, Any] = field(default_factory=dict)  # plain data, e.g. AutoAttack's members and warnings


def attack(threat: Threat, model: Model, x: Tensor, y: Tensor, *, seed: int, batch_size: int = 512) -> Attacked:
    """Runs a threat on every example; success is decided by a forward pass of its own, not by the attack.

    An example's result depends on its position, the seed and the model, never on the examples beside it (AutoAttack's
    does, see there).

    Args:
        model: images [N,C,H,W] in [0,1] → logits [N,K]. An nn.Module is evaluated in evaluation mode, and put back.
        x: [N,C,H,W] in [0,1].
        y: [N] class indices.
        seed: of the random starts, drawn for the whole set before it is cut into batches.
        batch_size: examples attacked at once.
    Raises:
        InputError: images outside [0,1], or a minimal attack in another norm than "2".
    """
    if len(x) and not (x.min() >= 0 and x.max() <= 1):
        raise InputError(f"threat {threat.id}: images must lie in [0, 1], not [{x.min():.3g}, {x.max():.3g}]; "
                         "divide the pixels by the value that means white")
    if threat.attack in MINIMAL and threat.norm != "2":
        raise InputError(f"threat {threat.id}: {threat.attack} measures ℓ2 perturbations; set norm = \"2\"")
    with torch.no_grad(), frozen(model) as net:
        if threat.attack == "autoattack":
            # The model as it is: filled batches would change its last bits against a direct call of the package.
            already = misclassified(_logits(model, x, batch_size), y)
            adversarial, success, info = autoattack(model, x, y, _epsilon(threat), threat.norm, seed=seed,
                                                    batch_size=batch_size)
        else:
            net = net if isinstance(model, nn.Module) else in_blocks(net)
            already = misclassified(_logits(net, x, batch_size), y)
            rows, info = (~already).nonzero()[:, 0], {}
            if threat.attack == "pgd":
                adversarial = _restarts(threat, net, x, y, rows, seed, batch_size)
            else:
                adversarial = _search(threat, net, x, y, rows, batch_size)
            success = misclassified(_logits(net, adversarial, batch_size), y)
        success = success | already
    distance = size(adversarial - x, threat.norm)
    if threat.attack in MINIMAL:
        distance = distance.where(success, torch.inf)
    return Attacked(adversarial, success, distance, info)


def _search(threat: Threat, net: Model, x: Tensor, y: Tensor, rows: Tensor, batch_size: int) -> Tensor:
    """The adversarial images of an attack without chance; x itself beside `rows`."""
    adversarial = x.clone()
    for some in _batches(rows, batch_size):
        match threat.attack:
            case "fgsm":
                found = fgsm(net, x[some], y[some], _epsilon(threat), threat.norm)
            case "deepfool":
                found = deepfool(net, x[some], y[some], **_given(threat))
            case _:
                found = carlini_wagner(net, x[some], y[some], **_given(threat))
        adversarial[some] = found
    return adversarial


def _restarts(threat: Threat, net: Model, x: Tensor, y: Tensor, rows: Tensor, seed: int, batch_size: int) -> Tensor:
    """PGD from random starts, each restart on the examples that none has broken; the highest loss where all fail."""
    given = _given(threat)
    restarts, loss = given.pop("restarts"), LOSSES[given["loss"]]
    adversarial, highest = x.clone(), torch.full_like(y, -torch.inf, dtype=x.dtype)
    generator = torch.Generator().manual_seed(seed)  # on the CPU: the same starts on every device
    draw = {"generator": generator, "dtype": x.dtype}
    for _ in range(restarts):
        starts = unit_ball(x.shape, threat.norm, rand=partial(torch.rand, **draw), randn=partial(torch.randn, **draw))
        left = [rows[:0]]
        for some in _batches(rows, batch_size):
            found = pgd(net, x[some], y[some], _epsilon(threat), threat.norm, start=starts[some.cpu()].to(x), **given)
            if restarts == 1:
                adversarial[some] = found
                continue
            logits = net(found)
            wrong, losses = misclassified(logits, y[some]), loss(logits, y[some])
            better = wrong | (losses > highest[some])
            adversarial[some[better]] = found[better]
            highest[some[better]] = losses[better]
            left.append(some[~wrong])
        rows = torch.cat(left)
    return adversarial


def _given(threat: Threat) -> dict[str, Any]:
    """The settings that are the kernel's keyword arguments of the same name."""
    return threat.model_dump(include={"steps", "step_size", "restarts", "loss"}, exclude_none=True)


def _epsilon(threat: Threat) -> float:
    if threat.epsilon is None:
        raise InputError(f"threat {threat.id}: {threat.attack} needs an epsilon")
    return threat.epsilon


def _batches(rows: Tensor, batch_size: int) -> tuple[Tensor, ...]:
    return rows.split(batch_size) if len(rows) else ()


def _logits(model: Model, x: Tensor, batch_size: int) -> Tensor:
    return torch.cat([model(some) for some in x.split(batch_size)])
