"""The registered architectures as networks for images of any size."""

import torch

from benchmark.training import networks
from registry.load import Registry
from registry.spec import Dataset

REGISTERED = Registry().architectures
OURS = sorted(name for name, architecture in REGISTERED.items() if architecture.module)
LARGE = {"wrn_28_10", "wrn_50_2_bottleneck"}  # too slow for all but a few checks


def dataset(shape, K=10, mean=0.4, std=0.3):
    return Dataset(
        name="some",
        title="",
        licence="",
        classes=tuple(map(str, range(K))),
        shape=shape,
        train_size=1,
        test_size=1,
        mean=(mean,) * shape[0],
        std=(std,) * shape[0],
        packaged="none",
    )


def create(name, shape=(3, 8, 8), K=10, seed=0, **update):
    return networks.create(
        REGISTERED[name].model_copy(update=update), dataset(shape, K), seed=seed
    ).eval()


def images(shape, count=2, dtype=torch.float32):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(1), dtype=dtype)


def shaken(model):
    """The model with every parameter moved at random: no block is an identity and no layer zero, as
    after training.
    """
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(
                parameter.shape, generator=generator, dtype=parameter.dtype
            )
    return model
