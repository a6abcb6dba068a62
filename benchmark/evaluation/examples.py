"""All that is cheap to measure per example, at once and in bounded memory."""

from __future__ import annotations

import torch
from torch import Tensor

from ..measures import bounds, margins
from ..measures import jacobian as jacobians
from ..measures.distances import label_distances_1, linearised_distance, linearised_distance_inf
from ..step import evaluation_mode

# Of a chunk's Jacobian: 64 MiB in float32, and twice that for its float64 copy.
NUMBERS_AT_ONCE = 2**24


def example_measures(
    model: jacobians.Model, x: Tensor, y: Tensor, chunk: int | None = None
) -> dict[str, Tensor]:
    """What is measured of each example. An input unit is the full range of a pixel.

    margin: z_y − max_{j≠y} z_j, logits; negative where misclassified. probability: p_y.
    probability_margin: p_y − max_{j≠y} p_j. loss: cross-entropy, nats. lipschitz: µ = ‖V‖_F, logits
    per input unit. cross_lipschitz: Ω, mean of ‖v_l − v_m‖₂² over ordered pairs, (logits per input
    unit)². gradient_norm: ‖∇_x L‖₂, nats per input unit. hessian_norm: ‖H‖₂ of the loss
    (Gauss-Newton part), nats per squared input unit. spectral_norm: σ₁(V), logits per input unit.
    linearised_distance_2, _inf: ℓ2 and ℓ∞ distance to the linearised boundary, input units;
    negative where misclassified.

    Of two classes also quadratic_distance_2, _inf: the size at which the loss's quadratic model
    reaches log 2, input units, which guarantees nothing; nu_gamma: νγ = |(v_+ − v_−)ᵀx|, logits.

    Args:
        model: images → logits [N, K]; put into evaluation mode meanwhile.
        x: [N, C, H, W].
        y: [N] class indices.
        chunk: examples measured at once; by default what keeps their Jacobian within
            NUMBERS_AT_ONCE, at most 128.
    Returns:
        Name → [N], float32. Infinite distances are flat points; nan marks an example whose logits
        are not finite.
    """
    with torch.no_grad(), evaluation_mode(model):
        if chunk is None:
            logits = model(x[:1])
            chunk = min(128, max(1, NUMBERS_AT_ONCE // (logits.shape[1] * x[:1].numel())))
        chunks = zip(x.split(chunk), y.split(chunk), strict=True)
        found = [_measure(model, *each) for each in chunks]
    return joined(found)


def joined(chunks: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The columns of all chunks of examples, float32."""
    columns: dict[str, Tensor] = {}
    for name in chunks[0]:
        columns[name] = torch.cat([chunk[name] for chunk in chunks]).float()
    return columns


def _measure(model: jacobians.Model, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    logits, J = jacobians.linearise(model, x)
    logits = logits.double()  # the odds of confident examples overflow float32
    G = jacobians.gram(J)
    columns = {
        "margin": margins.margin(logits, y),
        "probability": margins.probability(logits, y),
        "probability_margin": margins.probability_margin(logits, y),
        "loss": margins.loss(logits, y),
        "lipschitz": jacobians.lipschitz(G),
        "cross_lipschitz": jacobians.cross_lipschitz(G),
        "gradient_norm": jacobians.gradient_norm(G, logits, y),
        "hessian_norm": jacobians.hessian_norm(G, logits),
        "spectral_norm": jacobians.spectral_norm(G),
        "linearised_distance_2": linearised_distance(logits, y, G),
        "linearised_distance_inf": linearised_distance_inf(logits, y, J),
    }
    if logits.shape[1] == 2:
        speed_1 = label_distances_1(J, y).sum(1)
        speed_2 = jacobians.cross_lipschitz_binary(G)
        columns["quadratic_distance_2"] = bounds.quadratic_distance(logits, y, speed_2)
        columns["quadratic_distance_inf"] = bounds.quadratic_distance(logits, y, speed_1)
        columns["nu_gamma"] = bounds.nu_gamma(J, x)
    # A ReLU can pass a finite gradient beside a logit that is not finite.
    usable = logits.isfinite().all(1)
    return {name: torch.where(usable, column, torch.nan) for name, column in columns.items()}
