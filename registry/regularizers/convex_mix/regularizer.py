"""Convex mix: interpolate between adversarial training and data-dependent spectral-norm regularization."""
from dataclasses import dataclass

from benchmark.attacks import pgd, unit_ball
from benchmark.regularizer import Regularizer, Step, Tensor, leading_eigenvector
from registry.spec import Norm


@dataclass(frozen=True)
class ConvexMix(Regularizer):
    """(1 − t)·(L(x*) − L(x)) + t·c·σ₁(J)², x* the PGD example of radius ε (Roth et al. 2020, appendix 7.13).

    At t = 0 the objective is (1 − λ)·L(x) + λ·L(x*), adversarial training on the share λ of the loss; at t = 1 it is
    `data_dependent_operator_norm` at the weight λc. σ₁² is exact, from the K×K Gram matrix.
    """
    mix: float = 0.5
    operator_weight: float = 0.1
    norm: Norm = "2"
    epsilon: float = 0.875
    steps: int = 10
    step_size: float | None = None

    def penalty(self, step: Step) -> Tensor:  # [B]
        start = unit_ball(step.x.shape, self.norm, rand=step.rand, randn=step.randn)
        worst = pgd(step.model, step.x, step.y, self.epsilon, self.norm, steps=self.steps, step_size=self.step_size,
                    start=start, keep="last")
        V = step.jacobian(detached=True)
        q = leading_eigenvector(V @ V.transpose(1, 2))
        squared_norm = step.vjp(q).flatten(1).square().sum(1)
        return (1 - self.mix) * (step.at(worst).losses - step.losses) + self.mix * self.operator_weight * squared_norm
