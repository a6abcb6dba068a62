"""A model whose every boundary is known."""

import torch
from torch import Tensor


class Linear:
    """z = Wx + b on grey 4×4 images around mid-grey, with every boundary well inside the box."""

    def __init__(self, classes: int):
        generator = torch.Generator().manual_seed(classes)
        self.weight = torch.randn(classes, 16, generator=generator, dtype=torch.float64)
        self.bias = -self.weight.sum(1) / 2 + 0.1 * torch.randn(
            classes, generator=generator, dtype=torch.float64
        )
        self.x = 0.45 + 0.1 * torch.rand(20, 1, 4, 4, generator=generator, dtype=torch.float64)
        self.y = self(self.x).argmax(1)

    def __call__(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight.T + self.bias

    def distance(self, dual: int) -> Tensor:
        """min_{j≠y} (z_y − z_j) / ‖w_y − w_j‖_dual, one example and class after the other."""
        logits, least = self(self.x), []
        for n, y in enumerate(self.y.tolist()):
            others = [j for j in range(len(self.bias)) if j != y]
            least.append(
                min(
                    (logits[n, y] - logits[n, j]) / (self.weight[y] - self.weight[j]).norm(p=dual)
                    for j in others
                )
            )
        return torch.stack(least)
