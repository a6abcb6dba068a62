"""The verified tier: the union of several attacks, each on the images that those before it left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from registry.spec import Norm, Threat

from ..attacks import attack
from ..attacks.autoattack import autoattack
from ..attacks.perturbation import size
from ..attacks.run import Attacked
from ..measures.certificates import affordable, certified
from ..measures.layer_chain import NoCertificateError
from .classified import BATCH, classified
from .entrance import entrance_of

SQUARE = "square_helped"
# Coefficients of CROWN's functions for an image, up to which a proof costs less than AutoAttack.
CHEAP = 2**12


def union(
    threat: Threat, model: nn.Module, x: Tensor, y: Tensor, seed: int, checkpoint: Path | None
) -> Attacked:
    """PGD, then PGD on the margin from ten starts, then AutoAttack, within the threat's norm and ε.

    AutoAttack costs a hundred times what PGD does, so that it gets only the images that PGD has not
    broken and, of networks whose linear bounds are cheap, that are not certified either: those no
    attack breaks. APGD-T, FAB-T and Square take the package's steps faster (`attacks.autoattack`,
    `own`). AutoAttack's own share on all images is another threat, "autoattack".

    Returns:
        as `attack` does; in `info` the share of all images that stood after each attack and each
        member of AutoAttack, AutoAttack's warnings, and how many images it had to attack.
    """
    epsilon = threat.epsilon
    assert epsilon is not None, "a union is of attacks within an ε"
    within = {"norm": threat.norm, "epsilon": epsilon}
    first = Threat(attack="pgd", **within)
    margin = Threat(attack="pgd", loss="margin", restarts=10, **within)
    adversarial = x.clone()
    fallen = ~classified(model, x, y)
    stood: dict[str, float] = {}
    for cheap in (first, margin):
        left = (~fallen).nonzero()[:, 0]
        if len(left):
            found = attack(cheap, model, x[left], y[left], seed=seed, batch_size=BATCH)
            adversarial[left], fallen[left] = found.adversarial, found.success
        stood[cheap.id] = float((~fallen).double().mean())
    left = (~fallen).nonzero()[:, 0]
    left = left[~_proven(model, x[left], y[left], epsilon, threat.norm)]
    info: dict[str, Any] = {}
    if len(left):
        adversarial[left], fallen[left], info = autoattack(
            model,
            x[left],
            y[left],
            epsilon,
            threat.norm,
            seed=seed,
            batch_size=BATCH,
            own=True,
            entrance=entrance_of(model, x.float()),
            checkpoint=checkpoint,
        )
        before = stood[margin.id]
        share = len(left) / len(x)
        for member, robust in info["robust"].items():
            stood[member] = before - share * (1 - robust)
    # of all images, as its own check of itself means it
    warnings = {kind: told for kind, told in info.get("warnings", {}).items() if kind != SQUARE}
    distance = size(adversarial - x, threat.norm)
    return Attacked(adversarial, fallen, distance, info | {"robust": stood, "warnings": warnings})


def square_helped(stood: dict[str, float]) -> float:
    """The share of all images that the black-box member broke and no gradient had; 0 where it did
    not run.
    """
    members = list(stood)
    if "square" not in members:
        return 0.0
    helped = stood[members[members.index("square") - 1]] - stood["square"]
    return round(helped, 9)  # whole images: 2 of 1,000 are not 0.0020000000000000018


def _proven(model: nn.Module, x: Tensor, y: Tensor, epsilon: float, norm: Norm) -> Tensor:
    """[N] bool: certified, where that is cheap."""
    nothing = torch.zeros_like(y, dtype=torch.bool)
    if not len(x):
        return nothing
    try:
        if affordable(model, (x.shape[1], x.shape[2], x.shape[3]), CHEAP) != "crown":
            return nothing
    except NoCertificateError:
        return nothing
    return certified(model, x, y, epsilon, norm)
