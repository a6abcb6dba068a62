"""One sentence: what is penalised, and why that should make a network robust."""
from dataclasses import dataclass

from benchmark.regularizer import Regularizer, Step, Tensor


@dataclass(frozen=True)
class InputGradientNorm(Regularizer):
    """‖∇_x L‖₂: by how much the loss rises, to first order, in an ℓ2 ball of radius 1 (paper, equation).

    `step` gives the model, x, y, logits, losses and, computed once, input_gradient, jacobian(), gram(), vjp(u), jvp(d).
    """
    epsilon: float = 1e-12

    def penalty(self, step: Step) -> Tensor:  # [B], one value an example; λ is multiplied by the trainer
        squared = step.input_gradient.flatten(1).square().sum(1)
        return (squared + self.epsilon).sqrt()
