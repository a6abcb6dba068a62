"""A model as an attack may see it: evaluation mode, no parameter asking for a gradient, everything put back afterwards."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

Model = Callable[[Tensor], Tensor]  # images [N,C,H,W] in [0,1] → logits [N,K]

# Matrix products keep a row's last bits only among batches of whole blocks: an odd batch takes another kernel.
BLOCK = 16


@contextmanager
def frozen(model: Model) -> Iterator[Model]:
    """Puts an nn.Module in evaluation mode with its parameters frozen and yields it `in_blocks`.

    On leaving, also by an exception, every submodule has its mode again and every parameter its requires_grad.
    Any other callable is yielded as it is: whoever made it answers for its mode and its parameters.
    """
    if not isinstance(model, nn.Module):
        yield model
        return
    modes = [(module, module.training) for module in model.modules()]
    asking = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        model.eval()
        for parameter in asking:
            parameter.requires_grad_(False)
        yield in_blocks(model)
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter in asking:
            parameter.requires_grad_(True)


def in_blocks(model: Model) -> Model:
    """The same model, called on batches filled up to a multiple of BLOCK with copies of their first image.

    So an example's logits and gradients stay bit-equal whichever others are attacked beside it. For evaluation only:
    in training mode the copies would enter a BatchNorm's statistics.
    """
    def call(x: Tensor) -> Tensor:
        missing = -len(x) % BLOCK
        if not missing:
            return model(x)
        return model(torch.cat([x, x[:1].detach().expand(missing, *x.shape[1:])]))[:len(x)]
    return call
