"""A registered threat, run on every image of a set: what falls, and how far it had to be moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from registry.spec import InputError, Threat

from .autoattack import WHITE_BOX, autoattack
from .carlini_wagner import carlini_wagner
from .deepfool import deepfool
from .frozen import Model, frozen, in_blocks
from .objective import LOSSES, misclassified
from .perturbation import drawn_unit_ball, size
from .pgd import fgsm, pgd

MINIMAL = ("deepfool", "carlini_wagner")  # they search the smallest perturbation, in ℓ2


@dataclass(frozen=True)
class Attacked:
    """What a threat did to each example, on the images' device."""

    adversarial: Tensor  # [N,C,H,W]
    # [N] bool: the adversarial image is misclassified; True too where the clean one already is
    success: Tensor
    # [N] norm of adversarial − x: 0 where clean is already wrong, inf where a minimal attack failed
    distance: Tensor
    info: dict[str, Any] = field(
        default_factory=dict
    )  # plain data, e.g. AutoAttack's members and warnings


def attack(
    threat: Threat,
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    seed: int,
    batch_size: int = 512,
    checkpoint: Path | None = None,
) -> Attacked:
    """Runs a threat on every example; success is decided by a forward pass of its own, not by the
    attack.

    An example's result depends on its position, the seed and the model, never on the examples
    beside it (AutoAttack's and APGD's do, see there).

    Args:
        model: images [N,C,H,W] in [0,1] → logits [N,K]. An nn.Module is evaluated in evaluation
            mode, and put back.
        x: [N,C,H,W] in [0,1].
        y: [N] class indices.
        seed: of the random starts, drawn for the whole set before it is cut into batches.
        batch_size: examples attacked at once.
        checkpoint: the file in which `autoattack` and `apgd` keep their finished members; the
            others take no notice.
    Raises:
        InputError: images outside [0,1].
    """
    _check(threat, x)
    if threat.attack in ("apgd", "autoattack"):
        with torch.no_grad(), frozen(model):
            # The model as it is: filled batches would change its last bits against a direct call of
            # the package.
            already = misclassified(_logits(model, x, batch_size), y)
            adversarial, success, info = autoattack(
                model,
                x,
                y,
                _epsilon(threat),
                threat.norm,
                seed=seed,
                batch_size=batch_size,
                checkpoint=checkpoint,
                only=WHITE_BOX if threat.attack == "apgd" else None,
            )
        return Attacked(adversarial, success | already, size(adversarial - x, threat.norm), info)
    epsilon = None if threat.attack in MINIMAL else x.new_full((len(x),), _epsilon(threat))
    return _attacked(threat, model, x, y, epsilon, len(x), seed, batch_size)


def attack_curve(
    threats: Sequence[Threat],
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    seed: int,
    batch_size: int = 512,
) -> list[Attacked]:
    """What `attack` gives for each of `threats`, found in one pass over all: they differ in ε
    alone.

    All ε of an example share its random start, so that the curve falls by the attack and not by
    chance.

    Args:
        threats: "fgsm" or "pgd". The rest as for `attack`.
    Raises:
        ValueError: threats that differ in more than ε, or of another attack.
    """
    first, *others = threats
    if first.attack not in ("fgsm", "pgd") or any(
        without_epsilon(threat) != without_epsilon(first) for threat in others
    ):
        raise ValueError("a curve needs FGSM or PGD threats that differ in epsilon alone")
    _check(first, x)
    n, copies = len(x), len(threats)
    epsilon = x.new_tensor([_epsilon(threat) for threat in threats]).repeat_interleave(n)
    found = _attacked(
        first,
        model,
        x.repeat(copies, *[1] * (x.dim() - 1)),
        y.repeat(copies),
        epsilon,
        n,
        seed,
        batch_size,
    )
    return [
        Attacked(found.adversarial[rows], found.success[rows], found.distance[rows])
        for rows in (slice(i * n, (i + 1) * n) for i in range(copies))
    ]


def without_epsilon(threat: Threat) -> Threat:
    """Equal for the points of one curve."""
    return threat.model_copy(update={"epsilon": None})


def _check(threat: Threat, x: Tensor) -> None:
    if len(x) and not (x.min() >= 0 and x.max() <= 1):
        raise InputError(
            f"threat {threat.id}: images must lie in [0, 1], not [{x.min():.3g}, {x.max():.3g}]; "
            "divide the pixels by the value that means white"
        )


def _attacked(
    threat: Threat,
    model: Model,
    x: Tensor,
    y: Tensor,
    epsilon: Tensor | None,
    distinct: int,
    seed: int,
    batch_size: int,
) -> Attacked:
    """Our own attacks, each example under its own ε; x repeats its first `distinct` examples."""
    with torch.no_grad(), frozen(model) as net:
        net = net if isinstance(model, nn.Module) else in_blocks(net)
        already = misclassified(_logits(net, x, batch_size), y)
        rows = (~already).nonzero()[:, 0]
        if epsilon is None:
            adversarial = _nearest(threat, net, x, y, rows, batch_size)
        elif threat.attack == "fgsm":
            adversarial = x.clone()
            for some in _batches(rows, batch_size):
                adversarial[some] = fgsm(net, x[some], y[some], epsilon[some], threat.norm)
        else:
            adversarial = _restarts(threat, net, x, y, epsilon, rows, distinct, seed, batch_size)
        success = misclassified(_logits(net, adversarial, batch_size), y) | already
    distance = size(adversarial - x, threat.norm)
    return Attacked(
        adversarial,
        success,
        distance if epsilon is not None else distance.where(success, torch.inf),
    )


def _nearest(
    threat: Threat, net: Model, x: Tensor, y: Tensor, rows: Tensor, batch_size: int
) -> Tensor:
    """The adversarial images of a minimal attack; x itself beside `rows`."""
    kernel = deepfool if threat.attack == "deepfool" else carlini_wagner
    adversarial = x.clone()
    for some in _batches(rows, batch_size):
        adversarial[some] = kernel(net, x[some], y[some], **_given(threat))
    return adversarial


def _restarts(
    threat: Threat,
    net: Model,
    x: Tensor,
    y: Tensor,
    epsilon: Tensor,
    rows: Tensor,
    distinct: int,
    seed: int,
    batch_size: int,
) -> Tensor:
    """PGD from random starts, each restart on the examples that none has broken; the highest loss
    where all fail.
    """
    given = _given(threat)
    restarts, loss = given.pop("restarts"), LOSSES[given["loss"]]
    adversarial, highest = x.clone(), torch.full_like(y, -torch.inf, dtype=x.dtype)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(restarts):
        starts = drawn_unit_ball((distinct, *x.shape[1:]), threat.norm, generator, x.dtype)
        left = [rows[:0]]
        for some in _batches(rows, batch_size):
            start = starts[some.cpu() % distinct].to(x)
            found = pgd(net, x[some], y[some], epsilon[some], threat.norm, start=start, **given)
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
