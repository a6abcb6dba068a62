"""Confidence-weighted cross-Lipschitz: cross-Lipschitz regularization where the network is not yet sure."""
from dataclasses import dataclass

from benchmark.regularizer import Regularizer, Step, Tensor


@dataclass(frozen=True)
class ConfidenceWeightedCrossLipschitz(Regularizer):
    """(1 − p_y)^γ · Ω with Ω = Σ_{l,m} ‖v_l − v_m‖²/K² (Hein & Andriushchenko 2017, eq. 5).

    γ = 0 is cross-Lipschitz. With two classes ‖∇_x L‖² = (1 − p_y)²·ν² and Ω = ν²/2, so that γ = 2 is half of the
    input-gradient penalty: γ goes from the one to the other. The weight is differentiated too: it can be lowered by
    being right as well as by being flat.
    """
    gamma: float = 1.0

    def penalty(self, step: Step) -> Tensor:  # [B]
        K = step.logits.shape[1]
        V = step.jacobian(relative=True)
        omega = 2 / K * (V - V.mean(1, keepdim=True)).square().sum((1, 2))
        doubt = -(-step.losses).expm1()  # 1 − p_y without the rounding of the difference
        return doubt.clamp_min(1e-12) ** self.gamma * omega
