"""LLR: penalise how far the loss is from linear within a ball, and its linear part there."""
from dataclasses import dataclass

import torch

from benchmark.attacks.perturbation import per_example, project, steepest
from benchmark.regularizer import Regularizer, Step, Tensor
from registry.spec import Norm


@dataclass(frozen=True)
class LLR(Regularizer):
    """γ + m·|δᵀ∇L|, γ = |L(x+δ) − L(x) − δᵀ∇L| at the δ that maximises it over ‖δ‖ ≤ ε (Qin et al. 2019).

    The objective is L(x) + λ·(γ + m·|δᵀ∇L|), so the penalty is all that it adds to the base loss: the paper's λ is λ,
    its µ is λm. δ is found by PGD from a random start and is a constant.
    """
    norm: Norm = "inf"
    epsilon: float = 0.031
    steps: int = 10
    step_size: float = 0.007
    gradient_weight: float = 0.3

    def penalty(self, step: Step) -> Tensor:  # [B]
        g = step.input_gradient
        radius = per_example(self.epsilon, step.x)
        with torch.no_grad():
            start = self.epsilon * (2 * step.rand(tuple(step.x.shape)) - 1)
            x = project(step.x + start, step.x, radius, self.norm, (0.0, 1.0))
            for _ in range(self.steps):
                there = step.at(x)
                excess = there.losses - step.losses - ((x - step.x) * g).flatten(1).sum(1)
                rise = (there.input_gradient - g) * excess.sign()[:, None, None, None]
                x = project(x + self.step_size * steepest(rise, self.norm), step.x, radius, self.norm, (0.0, 1.0))
        linear = ((x - step.x) * g).flatten(1).sum(1)
        return (step.at(x).losses - step.losses - linear).abs() + self.gradient_weight * linear.abs()
