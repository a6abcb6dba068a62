"""Small networks in float64 with images and labels, and their Jacobians a logit at a time."""

import torch
from torch import Tensor, nn


def mlp(K: int) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, K)
    )


def convolutional(K: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * 2, K),
    )


NETS = {"mlp": mlp, "convolutional": convolutional}


def problem(K: int, net: str = "mlp", B: int = 5) -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(K)
    model = NETS[net](K).double()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):  # statistics that a batch's own would contradict
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
    for parameter in model.parameters():
        parameter.data.mul_(2)
    return model.eval(), torch.rand(B, 1, 3, 4, dtype=torch.float64), torch.randint(K, (B,))


def columns_by_autograd(model: nn.Module, x: Tensor) -> Tensor:
    """[n, K] of one image [1, C, H, W]."""
    columns = []
    for k in range(model(x).shape[1]):
        image = x.clone().requires_grad_()
        model(image)[0, k].backward()
        assert image.grad is not None
        columns.append(image.grad.flatten())
    return torch.stack(columns, dim=1)
