"""Curvature regularization: penalise the largest curvature of the loss along any input direction."""
from dataclasses import dataclass

import torch

from benchmark.regularizer import Regularizer, Step, Tensor, leading_eigenvector


@dataclass(frozen=True)
class Curvature(Regularizer):
    """‖H‖₂ of the cross-entropy's input Hessian, exact inside a ReLU cell for any number of classes.

    H = V(diag p − ppᵀ)Vᵀ = CCᵀ with C = (V − Vp·1ᵀ)·diag(√p) (Guo et al. 2020, eq. 15, whose pᵀp is a misprint), so
    ‖H‖₂ = ‖Cq‖² for the top right singular vector q of C, found from a K×K matrix. By Danskin's theorem q needs no
    derivative, and Cq = Vw with w = √p∘q − p·(√pᵀq) is one vector-Jacobian product.
    On smooth activations this is the Gauss–Newton part of the Hessian only.
    """

    def penalty(self, step: Step) -> Tensor:  # [B]
        log_p = step.logits.log_softmax(1)
        p, root = log_p.exp(), (log_p / 2).exp()  # p.sqrt() has an infinite derivative where p underflows
        with torch.no_grad():
            V = step.jacobian(detached=True, relative=True)  # v_k − v̄ is the same
            C = (V - p[:, None] @ V) * root[:, :, None]
            q = leading_eigenvector(C @ C.transpose(1, 2))
        s = root * q
        return step.vjp(s - s.sum(1, keepdim=True) * p).flatten(1).square().sum(1)
