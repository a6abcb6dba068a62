"""Small float64 nets, and what their penalties are made of, by plain autograd and loops."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from benchmark.regularizer import Noise, Regularizer, Step, load_regularizer
from registry.load import Registry

B = 3
NETS = ["mlp", "conv"]


def net_of(kind: str, K: int, activation: type[nn.Module] = nn.ReLU, side: int = 4) -> nn.Module:
    torch.manual_seed(K)
    if kind == "mlp":
        layers = [
            nn.Flatten(),
            nn.Linear(side**2, 7),
            activation(),
            nn.Linear(7, 6),
            activation(),
            nn.Linear(6, K),
        ]
    else:
        layers = [
            nn.Conv2d(1, 3, 3, padding=1),
            activation(),
            nn.Conv2d(3, 2, 3),
            activation(),
            nn.Flatten(),
            nn.Linear(2 * (side - 2) ** 2, K),
        ]
    return nn.Sequential(*layers).double()


def data_of(K: int, side: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(K)
    x = 0.1 + 0.8 * torch.rand((B, 1, side, side), generator=generator, dtype=torch.float64)
    return x, torch.arange(B) % K


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def noise(generator: torch.Generator, *shape: int, normal: bool = False) -> torch.Tensor:
    return (torch.randn if normal else torch.rand)(shape, generator=generator, dtype=torch.float64)


def method(name: str, **params) -> Regularizer:
    return load_regularizer(Registry().regularizer(name).folder, params)


def assert_penalty(
    regularizer: Regularizer,
    net: nn.Module,
    data,
    expected,
    *,
    rtol=1e-7,
    atol=1e-12,
    **step_options,
):
    """`expected` is a differentiable [B] or scalar made by other means: values and parameter
    gradients must agree.
    """
    step = Step(net, *data, noise=Noise(seeded()), **step_options)
    penalty = regularizer.penalty(step)
    assert_close(penalty, expected, rtol=rtol, atol=atol)
    weights = list(net.parameters())
    ours = torch.autograd.grad(penalty.sum(), weights, allow_unused=True, materialize_grads=True)
    theirs = torch.autograd.grad(expected.sum(), weights, allow_unused=True, materialize_grads=True)
    assert sum(g.abs().sum() for g in theirs) > 0
    for one, other in zip(ours, theirs):
        assert_close(
            one, other, rtol=max(100 * rtol, 1e-6), atol=max(atol, 1e-10 * float(other.abs().max()))
        )


def jacobians(net, x) -> torch.Tensor:
    """[B, K, n] by plain autograd, one example and one logit at a time, differentiable."""
    rows = []
    for image in x:
        image = image[None].clone().requires_grad_()
        logits = net(image)[0]
        rows.append(
            torch.stack(
                [torch.autograd.grad(z, image, create_graph=True)[0].flatten() for z in logits]
            )
        )
    return torch.stack(rows)


def loss_gradient(net, image, label) -> torch.Tensor:
    """∇_x of one image's cross-entropy, differentiable. image [1, C, H, W], label [1]."""
    image = image.detach().clone().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(net(image), label), image, create_graph=True)[0]


def each(x, y):
    """The examples one by one, as batches of one."""
    return [(x[i : i + 1], y[i : i + 1]) for i in range(len(x))]


def spectral_norm(M: torch.Tensor) -> torch.Tensor:
    return torch.linalg.svdvals(M).amax(-1)


everywhere = pytest.mark.parametrize(
    ("kind", "K"), [(kind, K) for kind in NETS for K in (2, 3, 10)]
)
