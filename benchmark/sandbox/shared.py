"""Tensors in memory that a parent and its child share: the one writes what it asks about, the other
what it answers.

The memory is of one size for good, so that neither can take it from under the other. What stands in
it may change at any time: the parent copies a tensor before it looks at it.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod

import torch
from torch import Tensor, nn

# Name → dtype and shape, in their order in the memory: plain data, which a child is told.
Layout = dict[str, tuple[str, list[int]]]

ALIGNED = 64  # bytes
NOISE = torch.Generator().get_state().numel()  # bytes of a CPU generator's state
STATE = 2**20  # bytes for `Step.state` beside four times the weights


def layout(model: nn.Module, batch: tuple[int, ...], dtype: torch.dtype) -> Layout:
    """What one step of a training needs and gives.

    "weights.…", the model's parameters and buffers; "x" and "y", the batch; "noise", the state of
    the step's generator; "state", the step's state as a safetensors file. Of the answer: "images",
    those to train on; "penalty", its mean; "gradient.…", its gradient with respect to each
    parameter; "noise" and "state", as the step left them.

    Args:
        batch: the shape of x, [B, C, H, W].
        dtype: of all that is not whole numbers.
    """

    def form(tensor: Tensor) -> tuple[str, list[int]]:
        kind = dtype if tensor.is_floating_point() else tensor.dtype
        return str(kind).removeprefix("torch."), list(tensor.shape)

    real = str(dtype).removeprefix("torch.")
    tensors = model.state_dict()
    weights = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    return {
        **{f"weights.{name}": form(tensor) for name, tensor in tensors.items()},
        **{f"gradient.{name}": form(tensor) for name, tensor in model.named_parameters()},
        "x": (real, list(batch)),
        "y": ("int64", [batch[0]]),
        "images": (real, list(batch)),
        "penalty": (real, []),
        "noise": ("uint8", [NOISE]),
        "state": ("uint8", [STATE + 4 * weights]),
    }


def _placed(table: Layout) -> Iterator[tuple[str, torch.dtype, list[int], int]]:
    """Of each tensor its name, dtype, shape and offset in bytes; last of all the end."""
    offset = 0
    for name, (kind, shape) in table.items():
        dtype = getattr(torch, kind)
        yield name, dtype, shape, offset
        offset += -(-prod(shape) * dtype.itemsize // ALIGNED) * ALIGNED
    yield "", torch.uint8, [], offset


@contextmanager
def memory(table: Layout) -> Iterator[int]:
    """The file descriptor of memory for these tensors."""
    *_, (*_, size) = _placed(table)
    if not hasattr(os, "memfd_create"):  # not Linux, where there is no sandbox either
        with tempfile.TemporaryFile() as file:
            file.truncate(size)
            yield file.fileno()
        return
    descriptor = os.memfd_create("regbench", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(descriptor, size)
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
        yield descriptor
    finally:
        os.close(descriptor)


def tensors(table: Layout, descriptor: int) -> dict[str, Tensor]:
    """Name → the tensor that stands there. Those of four dimensions lie channels-last, as training
    on a CPU has them.
    """
    *placed, (*_, size) = _placed(table)
    place = mmap.mmap(descriptor, size)
    found: dict[str, Tensor] = {}
    for name, dtype, shape, offset in placed:
        flat = torch.frombuffer(place, dtype=dtype, count=prod(shape), offset=offset)
        if len(shape) == 4:
            B, C, H, W = shape
            found[name] = flat.view(B, H, W, C).permute(0, 3, 1, 2)
        else:
            found[name] = flat.view(shape)
    return found
