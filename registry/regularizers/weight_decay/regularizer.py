"""Weight decay: penalise large weights. The control that looks at no input."""
from dataclasses import dataclass

from benchmark.regularizer import Regularizer, Step, Tensor


@dataclass(frozen=True)
class WeightDecay(Regularizer):
    """‖W‖² summed over all weight tensors (Krogh & Hertz 1991, eq. 2, without its ½)."""

    def penalty(self, step: Step) -> Tensor:  # scalar
        squares = [weight.square().sum() for weight in step.parameters.values() if weight.ndim > 1]
        return sum(squares[1:], squares[0])
