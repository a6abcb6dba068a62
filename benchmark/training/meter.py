"""Means over epochs, and divergence: of one model, or of many that train side by side."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..records.outcome import Epoch
from .phase import Phase


class EpochMeter:
    """The epochs of M models in one phase.

    Attributes:
        epochs: of each model; none after the one in which it diverged.
        ended: model → the iteration after which it was seen to have diverged.
    """

    def __init__(self, phase: Phase, device: torch.device, models: int = 1):
        self.epochs: list[list[Epoch]] = [[] for _ in range(models)]
        self.ended: dict[int, int] = {}
        self._phase = phase
        self._totals = torch.zeros(models, 3, dtype=torch.float64, device=device)

    def add(self, summary: Tensor) -> None:
        """One step's `Objective.summary`: [3], or [M, 3]. Nothing is read from the device."""
        self._totals += summary.detach()

    def close(self, done: int) -> None:
        """Ends an epoch after `done` iterations; a mean that is not finite is divergence."""
        passed = done % self._phase.per_epoch or self._phase.per_epoch
        means = (self._totals / passed).tolist()
        self._totals.zero_()
        for model, (loss, penalty, accuracy) in enumerate(means):
            if model in self.ended:
                continue
            epoch = Epoch(
                phase=self._phase.name,
                epoch=len(self.epochs[model]),
                loss=loss,
                penalty=penalty,
                accuracy=accuracy,
                learning_rate=self._phase.rate(done - 1),
            )
            self.epochs[model].append(epoch)
            if not (math.isfinite(loss) and math.isfinite(penalty)):
                self.ended[model] = done

    @property
    def all_diverged(self) -> bool:
        return len(self.ended) == len(self.epochs)
