"""Linearised distance: push each image's nearest linearised decision boundary out to a target radius."""
from dataclasses import dataclass

import torch

from benchmark.regularizer import Regularizer, Step, Tensor


@dataclass(frozen=True)
class LinearisedDistance(Regularizer):
    """h(d/r), d = min_{j≠y} (z_y − z_j)/‖v_y − v_j‖₂ and r the target radius; h(s) = max(0, 1 − s) for s ≥ 0.

    Inside the image's ReLU cell d is the exact ℓ2 distance to the boundary. Where the image is misclassified d is negative
    and h(s) = 1 − s/(1 − s), which stays below 2, so that no single image rules a batch. Which j is nearest is found
    without derivatives, and its v_y − v_j is one differentiated vector-Jacobian product.
    """
    radius: float = 1.0

    def penalty(self, step: Step) -> Tensor:  # [B]
        is_y = step.y[:, None] == torch.arange(step.logits.shape[1], device=step.y.device)
        margins = (step.logits * is_y).sum(1, keepdim=True) - step.logits
        with torch.no_grad():
            V = step.jacobian(detached=True, relative=True)  # v_y − v_j is the same
            lengths = ((V * is_y[:, :, None]).sum(1, keepdim=True) - V).norm(dim=2)
            # Masks instead of indices: an engine may map this over stacked models
            distances = (margins / lengths.clamp_min(1e-12)).masked_fill(is_y, torch.inf)
            nearest = distances == distances.amin(1, keepdim=True)
            nearest = nearest & (nearest.cumsum(1) == 1)  # the first of equals
        squared = step.vjp(is_y.to(step.x.dtype) - nearest.to(step.x.dtype)).flatten(1).square().sum(1)
        distance = (margins * nearest).sum(1) / (squared + 1e-12).sqrt()
        s = distance / self.radius
        wrong = s.clamp_max(0)
        return (1 - s.clamp_min(0)).clamp_min(0) - wrong / (1 - wrong)
