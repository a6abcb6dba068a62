"""A registered threat, run on every image of a set: what falls, and how far it had to be moved."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from registry.spec import AttackName, InputError, Threat

from .autoattack import WHITE_BOX, autoattack
from .carlini_wagner import carlini_wagner
from .deepfool import deepfool
from .fmn import fmn
from .frozen import Model, frozen, in_blocks
from .malt import malt
from .objective import LOSSES, misclassified
from .perturbation import drawn_unit_ball, size
from .pgd import fgsm, pgd

# Those that the package runs, with the members that they are; None is all of them.
OF_THE_PACKAGE: dict[AttackName, Collection[str] | None] = {"apgd": WHITE_BOX, "autoattack": None}


@dataclass(frozen=True)
class Attacked:
    """What a threat did to each example, on the images' device."""

    adversarial: Tensor  # [N,C,H,W]
    # [N] bool: the adversarial image is misclassified; True too where the clean one already is
    success: Tensor
    # [N] norm of adversarial − x: 0 where clean is already wrong, inf where a minimal attack failed
    distance: Tensor
    # Plain data, e.g. AutoAttack's members and warnings.
    info: dict[str, Any] = field(default_factory=dict)


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
    attack (AutoAttack's and APGD's by the package's).

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
        InputError: images outside [0,1]; "union" and "transfer", which need more than a model.
    """
    _check(threat, x)
    if threat.attack in OF_THE_PACKAGE:
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
                only=OF_THE_PACKAGE[threat.attack],
            )
        return Attacked(adversarial, success | already, size(adversarial - x, threat.norm), info)
    epsilon = None if threat.is_minimal else x.new_full((len(x),), _epsilon(threat))
    return _attacked(_Search(threat, x, y, epsilon, len(x), seed, batch_size), model)


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
    first = threats[0]
    if not first.has_curves or any(threat.family != first.family for threat in threats):
        raise ValueError("a curve needs FGSM or PGD threats that differ in epsilon alone")
    _check(first, x)
    n, copies = len(x), len(threats)
    search = _Search(
        first,
        x.repeat(copies, *[1] * (x.dim() - 1)),
        y.repeat(copies),
        x.new_tensor([_epsilon(threat) for threat in threats]).repeat_interleave(n),
        n,
        seed,
        batch_size,
    )
    found = _attacked(search, model)
    points = [slice(i * n, (i + 1) * n) for i in range(copies)]
    return [
        Attacked(found.adversarial[rows], found.success[rows], found.distance[rows])
        for rows in points
    ]


def _check(threat: Threat, x: Tensor) -> None:
    if threat.attack not in OURS and threat.attack not in OF_THE_PACKAGE:
        raise InputError(
            f"threat {threat.id}: is no attack on one model at once: `regbench run --tier "
            "verified` runs unions, `regbench transfer` other models' images"
        )
    if len(x) and not (x.min() >= 0 and x.max() <= 1):
        raise InputError(
            f"threat {threat.id}: images must lie in [0, 1], not [{x.min():.3g}, {x.max():.3g}]; "
            "divide the pixels by the value that means white"
        )


@dataclass(frozen=True)
class _Search:
    """What one of our own attacks is to do; x repeats its first `distinct` examples."""

    threat: Threat
    x: Tensor  # [N,C,H,W]
    y: Tensor  # [N]
    epsilon: Tensor | None  # [N], each example's own; None for a minimal attack
    distinct: int
    seed: int
    batch_size: int

    def batches(self, rows: Tensor) -> tuple[Tensor, ...]:
        return rows.split(self.batch_size) if len(rows) else ()


def _attacked(search: _Search, model: Model) -> Attacked:
    x, y = search.x, search.y
    with torch.no_grad(), frozen(model) as net:
        net = net if isinstance(model, nn.Module) else in_blocks(net)
        already = misclassified(_logits(net, x, search.batch_size), y)
        rows = (~already).nonzero()[:, 0]
        adversarial = OURS[search.threat.attack](search, net, rows)
        success = misclassified(_logits(net, adversarial, search.batch_size), y) | already
    distance = size(adversarial - x, search.threat.norm)
    if search.epsilon is None:
        distance = distance.where(success, torch.inf)
    return Attacked(adversarial, success, distance)


def _nearest(kernel: Callable[..., Tensor], search: _Search, net: Model, rows: Tensor) -> Tensor:
    """The adversarial images of a minimal attack; x itself beside `rows`."""
    adversarial, given = search.x.clone(), _given(search.threat)
    for some in search.batches(rows):
        adversarial[some] = kernel(net, search.x[some], search.y[some], **given)
    return adversarial


def _nearest_in_norm(search: _Search, net: Model, rows: Tensor) -> Tensor:
    """FMN's images, the one minimal attack for both norms."""
    return _nearest(partial(fmn, norm=search.threat.norm), search, net, rows)


def _within(kernel: Callable[..., Tensor], search: _Search, net: Model, rows: Tensor) -> Tensor:
    """The images of an attack that begins at x and stays in the ball; x itself beside `rows`."""
    x, y, epsilon, norm = search.x, search.y, _radii(search), search.threat.norm
    adversarial, given = x.clone(), _given(search.threat)
    for some in search.batches(rows):
        adversarial[some] = kernel(net, x[some], y[some], epsilon[some], norm, **given)
    return adversarial


def _restarts(search: _Search, net: Model, rows: Tensor) -> Tensor:
    """PGD from random starts, each restart on the examples that none has broken; the highest loss
    where all fail.

    Most fall to the first. What it leaves is attacked from as many starts at once as a batch holds,
    of which each example takes what one after another would have given it.
    """
    x, y, epsilon, norm = search.x, search.y, _radii(search), search.threat.norm
    given = _given(search.threat)
    restarts, loss = given.pop("restarts"), LOSSES[given["loss"]]
    adversarial, highest = x.clone(), torch.full_like(y, -torch.inf, dtype=x.dtype)
    generator = torch.Generator().manual_seed(search.seed)
    shape = search.distinct, *x.shape[1:]
    done = 0
    while done < restarts and len(rows):
        room = search.batch_size // len(rows) if done else 1
        at_once = min(max(room, 1), restarts - done)
        places = rows.cpu() % search.distinct  # of the few that are left
        starts = [drawn_unit_ball(shape, norm, generator, x.dtype)[places] for _ in range(at_once)]
        left, parts = [rows[:0]], zip(*(points.split(search.batch_size) for points in starts))
        for some, points in zip(search.batches(rows), parts, strict=True):
            start, many = torch.cat(points).to(x), some.repeat(at_once)
            found = pgd(net, x[many], y[many], epsilon[many], norm, start=start, **given)
            if restarts == 1:
                adversarial[some] = found
                continue
            logits = net(found)
            losses = loss(logits, y[many]).where(~misclassified(logits, y[many]), torch.inf)
            best, which = losses.view(at_once, -1).max(0)  # of equals the first
            found = found.view(at_once, len(some), *x.shape[1:])[which, range(len(some))]
            better = best > highest[some]
            adversarial[some[better]] = found[better]
            highest[some[better]] = best[better]
            left.append(some[best < torch.inf])
        rows = torch.cat(left)
        done += at_once
    return adversarial


# The adversarial images [N,C,H,W] that an attack finds for the examples `rows`, x itself elsewhere.
OURS: dict[AttackName, Callable[[_Search, Model, Tensor], Tensor]] = {
    "fgsm": partial(_within, fgsm),
    "pgd": _restarts,
    "malt": partial(_within, malt),
    "deepfool": partial(_nearest, deepfool),
    "carlini_wagner": partial(_nearest, carlini_wagner),
    "fmn": _nearest_in_norm,
}


def _radii(search: _Search) -> Tensor:
    assert search.epsilon is not None, "a threat within a ball has an ε: see `_epsilon`"
    return search.epsilon


def _given(threat: Threat) -> dict[str, Any]:
    """The settings that are the kernel's keyword arguments of the same name."""
    return threat.model_dump(include={"steps", "step_size", "restarts", "loss"}, exclude_none=True)


def _epsilon(threat: Threat) -> float:
    if threat.epsilon is None:
        raise InputError(f"threat {threat.id}: {threat.attack} needs an epsilon")
    return threat.epsilon


def _logits(model: Model, x: Tensor, batch_size: int) -> Tensor:
    return torch.cat([model(some) for some in x.split(batch_size)])
