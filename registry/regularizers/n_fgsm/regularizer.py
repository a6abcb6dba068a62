"""N-FGSM: train on one signed step from strong noise, and leave the ball unclipped."""

from dataclasses import dataclass

from benchmark.attacks import fgsm
from benchmark.regularizer import Regularizer, Step, Tensor


@dataclass(frozen=True)
class NFGSM(Regularizer):
    """Replaces x by x + η + λ·sign(∇L(x + η)), η ~ U[−kλ, kλ]ⁿ (de Jorge et al. 2022).

    Nothing is projected into the ball of radius λ; x + η and the result are clipped to the box. The
    penalty is zero.
    """

    noise: float = 2.0

    def training_input(self, step: Step) -> Tensor:  # [B, C, H, W]
        eta = self.noise * step.strength * (2 * step.rand(tuple(step.x.shape)) - 1)
        return fgsm(step.model, (step.x + eta).clamp(0, 1), step.y, step.strength)

    def penalty(self, step: Step) -> Tensor:  # [B]
        return step.x.new_zeros(len(step.x))
