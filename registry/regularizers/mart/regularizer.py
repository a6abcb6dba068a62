"""MART: adversarial training that holds the misclassified images' predictions together hardest."""

from dataclasses import dataclass

import torch

from benchmark.attacks import pgd, unit_ball
from benchmark.regularizer import Regularizer, Step, Tensor
from registry.spec import Norm


@dataclass(frozen=True)
class Mart(Regularizer):
    """BCE(p', y) + λ·KL(p ‖ p')·(1 − p_y), p' = p(x'), x' by PGD (Wang et al. 2020).

    BCE is −log p'_y − log(1 − max_{k≠y} p'_k). The training images are the x', so that the trainer
    gives the first term. The second does not scale with λ either: it stands here divided by λ.
    """

    norm: Norm = "inf"
    epsilon: float = 0.031
    steps: int = 10
    step_size: float | None = None

    def training_input(self, step: Step) -> Tensor:  # [B, C, H, W]
        start = unit_ball(step.x.shape, self.norm, rand=step.rand, randn=step.randn)
        return pgd(
            step.model,
            step.x,
            step.y,
            self.epsilon,
            self.norm,
            steps=self.steps,
            step_size=self.step_size,
            start=start,
            keep="last",
        )

    def penalty(self, step: Step) -> Tensor:  # [B]
        is_y = step.y[:, None] == torch.arange(step.logits.shape[1], device=step.y.device)
        log_q = step.logits.log_softmax(1)  # p'
        rivals = log_q.detach().masked_fill(is_y, -torch.inf)
        strongest = rivals == rivals.amax(1, keepdim=True)
        strongest = strongest & (strongest.cumsum(1) == 1)  # the first of equals
        boost = -log_q.masked_fill(strongest, -torch.inf).logsumexp(1)
        log_p = step.clean.logits.log_softmax(1)
        divergence = (log_p.exp() * (log_p - log_q)).sum(1)
        return divergence * log_p.exp().masked_fill(is_y, 0).sum(1) + boost / step.strength
