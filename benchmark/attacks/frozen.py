"""A model as an attack may see it: in evaluation mode, its parameters frozen, all put back
afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..step import evaluation_mode

Model = Callable[[Tensor], Tensor]  # images [N,C,H,W] in [0,1] → logits [N,K]

# An example keeps its last bits only among batches of whole blocks: odd rows of a matrix product
# and the odd end of a vectorised tanh are computed by other code. 32 is twice the numbers in the
# widest vector.
BLOCK = 32


@contextmanager
def frozen(model: Model) -> Iterator[Model]:
    """Puts an nn.Module in evaluation mode with its parameters frozen and yields it `in_blocks`.

    On leaving, also by an exception, every submodule has its mode again and every parameter its
    requires_grad. Any other callable is yielded as it is: whoever made it answers for its mode and
    its parameters.
    """
    if not isinstance(model, nn.Module):
        yield model
        return
    asking = [parameter for parameter in model.parameters() if parameter.requires_grad]
    with evaluation_mode(model):
        try:
            for parameter in asking:
                parameter.requires_grad_(False)
            yield in_blocks(model)
        finally:
            for parameter in asking:
                parameter.requires_grad_(True)


def in_blocks(model: Model) -> Model:
    """The same model, called on batches that are `filled`, so that an example's logits and
    gradients stay bit-equal whichever others are attacked beside it (on a CPU with one thread;
    closely elsewhere).

    For evaluation only: in training mode the copies would enter a BatchNorm's statistics.
    """
    return lambda x: model(filled(x))[: len(x)]


def filled(x: Tensor) -> Tensor:
    """[N,...] → [M,...], M the next multiple of BLOCK: copies of the first row are appended,
    without their gradient.
    """
    missing = -len(x) % BLOCK
    return torch.cat([x, x[:1].detach().expand(missing, *x.shape[1:])]) if missing else x
