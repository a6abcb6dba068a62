"""Spectral normalization: after every epoch, clip the singular values of every layer."""
from dataclasses import dataclass

from torch import nn

from benchmark.projection import clip_layers
from benchmark.regularizer import Regularizer, Step, Tensor


@dataclass(frozen=True)
class SpectralNormalization(Regularizer):
    """No singular value of a layer above 1/λ after an epoch (Sedghi et al. 2019, as Wen et al. 2020 use it).

    λ is the bound's inverse, so that a larger λ binds more and λ = 0 binds nothing, as for every other method.
    """

    def penalty(self, step: Step) -> Tensor:  # [B]
        return step.x.new_zeros(len(step.x))

    def after_epoch(self, model: nn.Module, strength: float) -> None:
        clip_layers(model, 1 / strength)
