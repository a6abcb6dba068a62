"""ARoW: TRADES with more weight on the images that an attack moves furthest from their label."""

from dataclasses import dataclass

import torch

from benchmark.attacks import unit_ball
from benchmark.attacks.perturbation import per_example, project, steepest
from benchmark.regularizer import Regularizer, Step, Tensor
from registry.spec import Norm


@dataclass(frozen=True)
class Arow(Regularizer):
    """L_α(x) + λ·KL(p ‖ p')·(1 − p'_y), p' = p(x'), x' maximising KL(p ‖ p') (Yang et al. 2023).

    L_α is the cross-entropy with label smoothing α, which is L + α·(z_y − z̄). What it adds to L
    does not scale with λ: it stands here divided by λ. x' is found by PGD and is a constant.
    """

    norm: Norm = "inf"
    epsilon: float = 0.031
    steps: int = 10
    step_size: float | None = None
    smoothing: float = 0.2

    def penalty(self, step: Step) -> Tensor:  # [B]
        is_y = step.y[:, None] == torch.arange(step.logits.shape[1], device=step.y.device)
        log_p = step.logits.log_softmax(1)
        p, radius = log_p.exp(), per_example(self.epsilon, step.x)
        stride = 2.5 * self.epsilon / self.steps if self.step_size is None else self.step_size
        with torch.no_grad():
            start = unit_ball(step.x.shape, self.norm, rand=step.rand, randn=step.randn)
            x = project(step.x + radius * start, step.x, radius, self.norm, (0.0, 1.0))
            for _ in range(self.steps):
                there = step.at(x)
                rise = steepest(there.vjp(there.logits.softmax(1) - p), self.norm)
                x = project(x + stride * rise, step.x, radius, self.norm, (0.0, 1.0))
        log_q = step.at(x).logits.log_softmax(1)
        unsure = log_q.exp().masked_fill(is_y, 0).sum(1)  # 1 − p'_y
        smoothed = (step.logits * is_y).sum(1) - step.logits.mean(1)
        return (p * (log_p - log_q)).sum(1) * unsure + self.smoothing * smoothed / step.strength
