"""Measures that only some tracks ask for, by name: what single papers look at beside the measures
of every track.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..attacks import pgd
from ..attacks.perturbation import drawn_unit_ball
from ..measures import margins
from ..measures.alignment import alignment, random_of_same_norm
from ..measures.curvature import margin_curvature
from ..measures.jacobian import gram, linearise, spectral_norm
from ..measures.linearity import deviation_from_linearity, penultimate, shared_activations
from ..measures.loss_variation import maximal_loss_variation
from ..step import evaluation_mode
from .examples import joined

CHUNK = 128  # examples measured at once
RADII = (0.25, 0.5, 1.0, 2.0)  # ℓ2, input units: how far `perturbed` goes
STEPS = 10  # of the PGD that finds its perturbations
VARIATION = (1, 2, 4)  # ℓ∞ radii of `loss_variation`, of 255

Columns = dict[str, Tensor]  # name → [N]


def further_measures(name: str, model: nn.Module, x: Tensor, y: Tensor, *, seed: int) -> Columns:
    """The columns of one of MEASURES, float32.

    Args:
        model: images → logits [N, K], measured in evaluation mode.
        x: [N, C, H, W] in [0, 1].
        y: [N] class indices.
        seed: of random starts and directions.
    """
    generator = torch.Generator().manual_seed(seed)  # on the CPU: the same draws on every device
    chunks = zip(x.split(CHUNK), y.split(CHUNK), strict=True)
    with torch.no_grad(), evaluation_mode(model):
        found = [MEASURES[name](model, *chunk, generator) for chunk in chunks]
    return joined(found)


def _margins(model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Columns:
    """Of the output alone, so that training images cost no more than a forward pass (Wen et al.,
    fig. 4).
    """
    logits = model(x).double()
    return {
        "margin": margins.margin(logits, y),
        "probability": margins.probability(logits, y),
        "probability_margin": margins.probability_margin(logits, y),
        "loss": margins.loss(logits, y),
    }


def _perturbed(model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Columns:
    """How PGD's perturbations z and random ones of their length meet the linearised network (Roth
    et al., fig. 2, 8, 9).

    For each of RADII, a suffix: `alignment` |cos(z, v₁)|; `deviation` ‖φ(x+z) − φ(x) − Jz‖₂ at the
    layer before the logits and `relative_deviation`, as a share of ‖φ(x+z) − φ(x)‖₂; `stretch`
    σ₁(x+z)/σ₁(x); `shared` activations, where the network has ReLUs. Those of random perturbations
    begin with `random_`. PGD stays within [0, 1] images.
    """
    J, features = linearise(model, x)[1], penultimate(model)
    here, length = features(x).flatten(1), spectral_norm(gram(J))
    has_relus = any(isinstance(module, nn.ReLU) for module in model.modules())
    columns: Columns = {}
    for radius in RADII:
        start = drawn_unit_ball(x.shape, "2", generator, x.dtype).to(x)
        adversarial = pgd(model, x, y, radius, "2", steps=STEPS, start=start, keep="last") - x
        random = random_of_same_norm(adversarial.cpu(), generator).to(x)
        for prefix, z in (("", adversarial), ("random_", random)):
            deviation = deviation_from_linearity(features, x, z)
            change = (features(x + z).flatten(1) - here).norm(dim=1)
            found = {
                "alignment": alignment(z, J),
                "deviation": deviation,
                "relative_deviation": deviation / change,
                "stretch": spectral_norm(gram(linearise(model, x + z)[1])) / length,
            }
            if has_relus:
                found["shared"] = shared_activations(model, x, z)
            for name, values in found.items():
                columns[f"{prefix}{name}_{radius:g}"] = values
    return columns


def _loss_variation(model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Columns:
    """Of `VARIATION`/255, a suffix (Wen et al., table 1)."""
    return {
        f"loss_variation_{radius}": maximal_loss_variation(model, x, y, radius / 255)
        for radius in VARIATION
    }


def _margin_curvature(
    model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator
) -> Columns:
    """Of the margin over the likeliest other class (Cross-Hölder, fig. 3): ‖H‖₂, ‖Hg/‖g‖‖₂ and the
    latter's share.
    """
    start = torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x)
    along, norm = margin_curvature(model, x, y, start)
    return {
        "margin_hessian_norm": norm,
        "hessian_along_gradient": along,
        "along_share": along / norm,
    }


MEASURES: dict[str, Callable[[nn.Module, Tensor, Tensor, torch.Generator], Columns]] = {
    "margins": _margins,
    "perturbed": _perturbed,
    "loss_variation": _loss_variation,
    "margin_curvature": _margin_curvature,
}
