"""Input-gradient regularization by a finite difference: the loss's slope along its own gradient."""

from dataclasses import dataclass

import torch

from benchmark.regularizer import Regularizer, Step, Tensor
from registry.spec import Norm


@dataclass(frozen=True)
class GradientFiniteDifference(Regularizer):
    """½·((L(x + hv) − L(x))/h)², v the unit vector along ∇L, a constant (Finlay & Oberman 2021).

    As h → 0 it is ½‖∇L‖₂², half of `input_gradient`; no backward pass runs through another. With
    `norm = "inf"`, for attacks in ℓ∞, v = sign(∇L)/√n, so that it tends to ½‖∇L‖₁²/n, n the number
    of pixels. x + hv is not clipped to the box.
    """

    norm: Norm = "2"
    h: float = 0.01

    def penalty(self, step: Step) -> Tensor:  # [B]
        is_y = step.y[:, None] == torch.arange(step.logits.shape[1], device=step.y.device)
        with torch.no_grad():
            others = step.logits.softmax(1).masked_fill(is_y, 0)
            v = step.vjp(others - is_y * others.sum(1, keepdim=True))  # ∇L, without its graph
            if self.norm == "inf":
                v = v.sign() / v[0].numel() ** 0.5
            else:  # 0 where the loss is flat
                length = v.flatten(1).norm(dim=1)[:, None, None, None]
                v = v / length.where(length > 0, 1)
        slope = (step.at(step.x + self.h * v).losses - step.losses) / self.h
        return slope.square() / 2
