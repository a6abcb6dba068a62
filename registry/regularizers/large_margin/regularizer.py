"""Large margin: a hinge on the linearised distance to each other class's decision boundary."""

from dataclasses import dataclass
from typing import Literal

import torch

from benchmark.regularizer import Regularizer, Step, Tensor
from registry.spec import Norm


@dataclass(frozen=True)
class LargeMargin(Regularizer):
    """max_{j≠y} max(0, γ − d_j), d_j = (z_y − z_j)/‖∇(z_y − z_j)‖_q (Elsayed et al. 2018).

    The distance is in `norm`, q its dual, at the input layer alone. As the paper proposes, the
    denominators are constants. Where all logits are flat there is no boundary, and no penalty.
    """

    norm: Norm = "2"
    gamma: float = 1.0
    aggregate: Literal["max", "sum"] = "max"

    def penalty(self, step: Step) -> Tensor:  # [B]
        is_y = step.y[:, None] == torch.arange(step.logits.shape[1], device=step.y.device)
        margins = (step.logits * is_y).sum(1, keepdim=True) - step.logits
        V = step.jacobian(detached=True, relative=True)
        differences = (V * is_y[:, :, None]).sum(1, keepdim=True) - V
        lengths = differences.norm(p=1 if self.norm == "inf" else 2, dim=2)
        flat = lengths < 1e-6  # the label's own column among them
        hinges = (self.gamma - margins / lengths.masked_fill(flat, 1)).clamp_min(0)
        hinges = hinges.masked_fill(flat, 0)
        return hinges.amax(1) if self.aggregate == "max" else hinges.sum(1)
