"""Networks from their specs: timm's or ours, normalising inside, kept as safetensors."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections import OrderedDict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from registry.architectures.layers import BUILDERS, Build, taken
from registry.places import HERE
from registry.read import shown
from registry.spec import Architecture, Dataset, InputError
from registry.write import write_whole

# What networks raise that are given an argument or an image they cannot take.
REFUSALS = (RuntimeError, AssertionError, ValueError, TypeError)


class Normalize(nn.Module):
    """(x − mean) / std per channel: [0, 1] images [B, C, H, W] → what the network is trained on, of
    the same shape.

    The buffers are saved with the weights, so that a trained model keeps the constants it was
    trained with.
    """

    mean: Tensor  # [C, 1, 1]
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


def create(architecture: Architecture, dataset: Dataset, *, seed: int) -> nn.Module:
    """A freshly initialised model on the CPU, in training mode: [0, 1] images [B, C, H, W] → logits
    [B, K].

    The weights depend on the arguments alone: the global random state is neither read nor changed.
    Nothing is downloaded.

    Raises:
        InputError: timm has no such network, or it cannot take the dataset's images or the
            architecture's kwargs.
    """
    # Only the CPU's generator: torch.manual_seed would reseed every accelerator, which fork_rng
    # then has to restore.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        net = _network(architecture, dataset)
    for module in net.modules():
        # In place they would overwrite what penalties and measures look at.
        if getattr(module, "inplace", False) is True:
            module.inplace = False  # pyright: ignore[reportArgumentType]
    return nn.Sequential(OrderedDict(normalize=Normalize(dataset.mean, dataset.std), net=net))


def _network(architecture: Architecture, dataset: Dataset) -> nn.Module:
    channels, height, width = dataset.shape
    kwargs: dict[str, Any] = architecture.settings | {
        "num_classes": dataset.num_classes,
        "in_chans": channels,
    }
    of_timm = architecture.module is None
    build, has_size = _of_timm(architecture) if of_timm else _of_ours(architecture)
    if has_size:
        kwargs["img_size"] = (height, width)
    try:
        net = build(**kwargs)
        if of_timm:
            _check_fits(net, dataset)
        return net
    except REFUSALS as error:
        size = f"{channels}×{height}×{width}"
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"architecture {architecture.name!r}: cannot take the {size} images of dataset "
            f"{dataset.id!r} ({reason}); choose a network for small images, or other kwargs"
        ) from error


def _of_ours(architecture: Architecture) -> tuple[Build, bool]:
    """What builds the network, from the file beside the architecture's TOML that registers it, and
    whether it asks for the images' size. A second time costs nothing.
    """
    # Of a registry of one's own it is an absolute path.
    path = HERE / "architectures" / str(architecture.module)
    if not path.is_file():
        raise InputError(
            f"{shown(path)}: no such file, but architecture {architecture.name!r} names it as its "
            "module"
        )
    if path.parent == HERE / "architectures":
        importlib.import_module(f"registry.architectures.{path.stem}")
    else:
        _load_once(path)
    build = BUILDERS.get(architecture.timm)
    if build is None:
        raise InputError(
            f"{shown(path)}: registers no {architecture.timm!r}; "
            "a function of that name under @register_from_scratch would"
        )
    return build, "img_size" in inspect.signature(build).parameters


@cache
def _load_once(path: Path) -> None:
    name = f"architecture_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where a class looks for the module that it is of
    spec.loader.exec_module(module)
    _check_names(module.__name__)


def _check_names(module: str) -> None:
    """Raises InputError where a network of a module of one's own has the name of one of timm's."""
    import timm

    for name, build in BUILDERS.items():
        if build.__module__ == module and timm.is_model(name):
            raise taken(build, timm.model_entrypoint(name).__module__)


def _of_timm(architecture: Architecture) -> tuple[Build, bool]:
    """What builds the network, and whether it has to be told the images' size.

    Refuses what timm does not have, what it would fetch (hf-hub:…) and names of pretrained weights
    (resnet18.a1_in1k).
    """
    import timm  # takes seconds, and most tracks are of our networks

    name = architecture.timm
    if name.replace("_", "").isalnum() and timm.is_model(name):
        defaults = timm.get_pretrained_cfg(name)
        return (
            # Not partial, whose argument another one may replace.
            lambda **kwargs: timm.create_model(name, pretrained=False, **kwargs),
            defaults is not None and defaults.fixed_input_size,
        )
    # A weights tag is no part of a network's name: training starts from scratch.
    wanted = name.rpartition("/")[2].partition(".")[0]
    close = difflib.get_close_matches(wanted, timm.list_models(), n=3, cutoff=0)
    raise InputError(
        f"architecture {architecture.name!r}: timm has no network {name!r}; did you mean "
        f"{', '.join(close)}?"
    )


@torch.no_grad()
def _check_fits(net: nn.Module, dataset: Dataset) -> None:
    """Passes one blank image through. Raises ValueError where the logits are not finite or not of
    shape [1, K].
    """
    logits = net.eval()(torch.zeros(1, *dataset.shape))
    net.train()
    if not isinstance(logits, Tensor) or logits.shape != (1, dataset.num_classes):
        what = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(f"gives {what} instead of one row of {dataset.num_classes} logits")
    if not logits.isfinite().all():
        raise ValueError("a blank image gives logits that are not finite")


def save(model: nn.Module, path: Path, metadata: Mapping[str, str]) -> None:
    """Writes parameters and buffers as safetensors, whole or not at all."""
    state = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }
    write_whole(path, safetensors.torch.save(state, metadata=dict(metadata)))


def load(architecture: Architecture, dataset: Dataset, path: Path) -> nn.Module:
    """The model that `save` wrote, on the CPU, in training mode, bit by bit.

    Raises:
        InputError: the file is missing, cut short, or holds another network's tensors.
    """
    again = "delete it and run the trial again"
    try:
        state = safetensors.torch.load_file(path)
    except OSError as error:
        raise InputError(
            f"{shown(path)}: cannot be read: {error.strerror or error}; run the trial again"
        ) from None
    except safetensors.SafetensorError as error:
        raise InputError(
            f"{shown(path)}: is no whole safetensors file ({error}); {again}"
        ) from None
    model = create(architecture, dataset, seed=0)
    held, needed = _described(state), _described(model.state_dict())
    for name in sorted(held.keys() | needed.keys()):
        if held.get(name) != needed.get(name):
            raise InputError(
                f"{shown(path)}: does not fit architecture {architecture.name!r} on dataset "
                f"{dataset.id!r}: {name} is {held.get(name, 'missing')}, not "
                f"{needed.get(name, 'expected')}; {again}"
            )
    model.load_state_dict(state)
    return model


def _described(state: Mapping[str, Tensor]) -> dict[str, str]:
    return {
        name: f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"
        for name, tensor in state.items()
    }


def placed(model: nn.Module, device: str) -> nn.Module:
    """The model on its device, in the memory order that is fast there."""
    # On a CPU most steps of small convolutions are 1.1–1.5 × faster so, double backward passes no
    # slower than by a sixth.
    model = model.to(device)
    return model.to(memory_format=torch.channels_last) if device == "cpu" else model


def couples_examples(model: nn.Module) -> bool:
    """Whether in training mode an example's logits depend on the batch's other examples (BatchNorm)
    or on chance (Dropout).
    """
    return bool(batch_norms(model)) or draws_in_training(model)


def batch_norms(model: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """A network's layers of any BatchNorm."""
    return [
        module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)
    ]


def draws_in_training(model: nn.Module) -> bool:
    """Whether in training mode an example's logits depend on chance."""
    for module in model.modules():
        if isinstance(module, nn.RReLU):
            return True
        # Rates as torch and timm name them; a plain `p` elsewhere is an exponent.
        names = ["drop_prob", "drop_rate", "dropout", "prob"]
        names += ["p"] if isinstance(module, nn.modules.dropout._DropoutNd) else []
        rates = [getattr(module, name, None) for name in names]
        if any(isinstance(rate, float | int) and rate > 0 for rate in rates):
            return True
    return False
