"""Projections of weights after an epoch: layers whose singular values exceed a bound are clipped to
it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Frequencies a side on which a convolution is looked at. Those of every smaller power of two are
# among them, so the bound holds at once for the maps of 32, 16, 8 and 4 pixels that a network makes
# of a 32-pixel image.
FREQUENCIES = 32


def transfer(weight: Tensor, frequencies: int = FREQUENCIES) -> Tensor:
    """The matrices that a circular convolution of stride 1 applies to the channels at each spatial
    frequency.

    Together their singular values are the convolution's (Sedghi, Gupta & Long 2019, theorem 6).

    Args:
        weight: [groups, out, in, h, w].
        frequencies: n, the map's side; at least the kernel's.
    Returns:
        complex [groups, n, n/2 + 1, out, in]; the other half are conjugates.
    """
    return torch.fft.rfft2(weight, s=(frequencies, frequencies)).permute(0, 3, 4, 1, 2)


def clip_singular_values(
    weight: Tensor, bound: float, groups: int = 1, frequencies: int = FREQUENCIES
) -> Tensor:
    """The weight with its layer's singular values clipped to `bound`.

    A convolution is clipped frequency by frequency and its kernel cropped back to its size (Sedghi,
    Gupta & Long 2019, section 3), circular padding and stride 1 assumed. Cropping moves the
    singular values once more: they are measured again, and the kernel scaled down by what still
    exceeds the bound, so that the bound holds.

    Args:
        weight: [out, in] of a linear layer, or [out, in/groups, h, w] of a convolution.
        bound: positive.
    Returns:
        of weight's shape; weight itself where nothing exceeds the bound.
    """
    if weight.ndim == 2:
        if torch.linalg.matrix_norm(weight, 2) <= bound:
            return weight
        U, S, Vh = torch.linalg.svd(weight, full_matrices=False)
        return U * S.clamp(max=bound) @ Vh
    h, w = weight.shape[2:]
    n = max(frequencies, h, w)
    grouped = weight.unflatten(0, (groups, -1))
    A = transfer(grouped, n)
    exceeding = (
        torch.linalg.matrix_norm(A) > bound
    )  # cheap: the Frobenius norm bounds the spectral norm
    U, S, Vh = torch.linalg.svd(A[exceeding], full_matrices=False)
    if S.numel() == 0 or S.max() <= bound:
        return weight
    A = A.clone()
    A[exceeding] = U * S.clamp(max=bound)[:, None] @ Vh
    clipped = torch.fft.irfft2(A.permute(0, 3, 4, 1, 2), s=(n, n))[..., :h, :w]
    left = torch.linalg.matrix_norm(transfer(clipped, n), 2).max()
    return (clipped * (bound / left).clamp(max=1)).reshape(weight.shape)


@torch.no_grad()
def clip_layers(model: nn.Module, bound: float) -> None:
    """Clips every linear and 2-D convolutional layer's weight in place. A layer that is not finite
    is left as it is.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d) and module.weight.isfinite().all():
            groups = module.groups if isinstance(module, nn.Conv2d) else 1
            module.weight.copy_(clip_singular_values(module.weight, bound, groups))
