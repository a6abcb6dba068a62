"""TRADES: penalise how much the predicted distribution changes within a ball."""
from dataclasses import dataclass

import torch

from benchmark.attacks.perturbation import per_example, project, steepest
from benchmark.regularizer import Regularizer, Step, Tensor
from registry.spec import Norm


@dataclass(frozen=True)
class Trades(Regularizer):
    """max KL(p(x) ‖ p(x')) over ‖x' − x‖ ≤ ε (Zhang et al. 2019; λ is the published code's β = 1/λ of the paper).

    The objective is L(x) + λ·KL, so the penalty is all that it adds to the base loss. x' is found by PGD from a small
    Gaussian step and is a constant; both distributions are differentiated.
    """
    norm: Norm = "inf"
    epsilon: float = 0.031
    steps: int = 10
    step_size: float = 0.007

    def penalty(self, step: Step) -> Tensor:  # [B]
        log_p = step.logits.log_softmax(1)
        p = log_p.exp()
        radius = per_example(self.epsilon, step.x)
        with torch.no_grad():
            x = project(step.x + 0.001 * step.randn(tuple(step.x.shape)), step.x, radius, self.norm, (0.0, 1.0))
            for _ in range(self.steps):
                there = step.at(x)
                rise = there.vjp(there.logits.softmax(1) - p)  # of KL(p ‖ softmax z) with z: softmax z − p
                x = project(x + self.step_size * steepest(rise, self.norm), step.x, radius, self.norm, (0.0, 1.0))
        return (p * (log_p - step.at(x).logits.log_softmax(1))).sum(1)
