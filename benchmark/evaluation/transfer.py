"""Transfer: the adversarial images that PGD finds for other models, tried on this one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from registry.spec import InputError, Threat

from ..attacks import pgd
from ..attacks.perturbation import drawn_unit_ball
from .classified import batches, classified
from .found import Found


def transfer(
    threat: Threat,
    sources: Mapping[str, nn.Module],
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    seed: int,
) -> Found:
    """Which images stand as they are and as each source's last iterate of PGD has them, all sources
    together and each alone.

    The last iterate, not the first that the source misclassifies: that one lies just beyond the
    source's own boundary. So every image is moved, those too that the source has wrong.

    Args:
        threat: "transfer", with its norm and ε.
        sources: name → images [N,C,H,W] in [0,1] → logits [N,K], at least one.
        model: of the same images and classes.
        x: [N,C,H,W].
        y: [N] class indices.
        seed: of the random starts, which all sources share.
    Raises:
        InputError: there are no sources.
    """
    if not sources:
        raise InputError(
            f"threat {threat.id}: needs other models of a track; `regbench transfer` runs it"
        )
    generator = torch.Generator().manual_seed(seed)
    start = drawn_unit_ball(tuple(x.shape), threat.norm, generator, x.dtype).to(x)
    clean = classified(model, x, y)
    alone = {
        name: clean & classified(model, _images(threat, source, x, y, start), y)
        for name, source in sources.items()
    }
    together = torch.stack(list(alone.values())).all(0)
    shares = {f"robust_accuracy:{name}": stood.double().mean() for name, stood in alone.items()}
    metrics = {"robust_accuracy": together.double().mean(), **shares}
    return Found({"correct": together}, metrics)


def _images(threat: Threat, source: nn.Module, x: Tensor, y: Tensor, start: Tensor) -> Tensor:
    """[N,C,H,W], within the ball and the box."""
    assert threat.epsilon is not None and threat.steps is not None, "a transfer has both"
    found = [
        pgd(
            source,
            x[rows],
            y[rows],
            threat.epsilon,
            threat.norm,
            steps=threat.steps,
            start=start[rows],
            keep="last",
        )
        for rows in batches(x)
    ]
    return torch.cat(found)
