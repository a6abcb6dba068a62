"""The Jacobian of the logits, its Gram matrix, and what follows from them: how fast and how
unevenly logits move.

Exact inside an input's ReLU cell. `V` is the transposed Jacobian, with columns `v_k = ∇_x z_k`, and
`G = VᵀV`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..step import evaluation_mode
from .margins import probability_of_others

Model = Callable[[Tensor], Tensor]

COTANGENTS_AT_ONCE = 100  # bounds the memory of a mapped backward pass; more at once is no faster


def jacobian(model: Model, x: Tensor, chunk: int = 128) -> Tensor:
    """Input gradients of all logits, by K vector-Jacobian products in evaluation mode; no graph is
    kept.

    Args:
        model: images → logits [B, K]; each example's logits must depend on that example alone.
        x: [B, C, H, W].
        chunk: examples differentiated at once; bounds the memory of the passes, not of the result.
    Returns:
        [B, K, C·H·W], row k is `v_k`, in logits per input unit.
    """
    return torch.cat([linearise(model, part)[1] for part in x.split(chunk)])


def linearise(model: Model, x: Tensor) -> tuple[Tensor, Tensor]:
    """The logits [B, K] and their Jacobian [B, K, C·H·W] of one chunk, from one forward pass: see
    `jacobian`.
    """
    with torch.no_grad(), evaluation_mode(model):
        # One CPU thread, images a second: an MLP mapped 14,600, in a loop 13,600; LeNet-5 520 and
        # 840; 4 convolutions with BatchNorm 60 and 190. So only a net known to have no convolution
        # is mapped on a CPU.
        known = isinstance(model, nn.Module)
        dense = known and all(weight.ndim < 4 for weight in model.parameters())
        loop = x.device.type == "cpu" and not dense
        if loop and x.ndim == 4:
            # Backward convolutions are faster in this layout: 1.7 × (LeNet-5), 1.2 × (4
            # convolutions). `contiguous` would return one-channel images as they are, in strides
            # that do not ask for the layout; `clone` sets them.
            x = x.clone(memory_format=torch.channels_last)
        logits, pullback, *_ = torch.func.vjp(model, x)
        B, K = logits.shape
        one_hot = torch.eye(K, dtype=logits.dtype, device=logits.device)[:, None].expand(K, B, K)
        if loop:
            rows = [pullback(cotangent)[0].flatten(1) for cotangent in one_hot]
            return logits, torch.stack(rows, dim=1)
        row = torch.func.vmap(
            lambda u: pullback(u)[0].flatten(1), out_dims=1, chunk_size=COTANGENTS_AT_ONCE
        )
        return logits, row(one_hot)


def gram(jacobian: Tensor) -> Tensor:
    """`G = VᵀV`, inner products of the logits' input gradients.

    In float64 whatever the Jacobian's type: measures of differences of logits are differences of
    its entries.

    Args:
        jacobian: [B, K, n].
    Returns:
        [B, K, K], float64.
    """
    V = jacobian.double()
    return V @ V.transpose(1, 2)


def pair_distances(gram: Tensor) -> Tensor:
    """`‖v_i − v_j‖₂ = √(G_ii + G_jj − 2G_ij)` of all pairs of logits.

    Args:
        gram: [B, K, K].
    Returns:
        [B, K, K]; exactly 0 where two gradients agree to within rounding.
    """
    squares = gram.diagonal(dim1=1, dim2=2)
    sums = squares[:, :, None] + squares[:, None, :]
    squared = sums - 2 * gram
    # Rounding leaves a little of either sign where gradients coincide: a finite distance to a
    # boundary that never comes.
    coincide = squared <= 32 * torch.finfo(gram.dtype).eps * sums
    return torch.where(coincide, 0, squared).sqrt()


def lipschitz(gram: Tensor) -> Tensor:
    """Local Lipschitz constant `µ = ‖V‖_F = √tr G` (Guo et al., §3.2). gram [B, K, K] → [B], logits
    per input unit.
    """
    return gram.diagonal(dim1=1, dim2=2).sum(1).sqrt()


def cross_lipschitz(gram: Tensor) -> Tensor:
    """`Ω = Σ_{l,m} ‖v_l − v_m‖₂² / K²` over ordered pairs (Hein & Andriushchenko 2017); `ν²/2` when
    K = 2.

    Args:
        gram: [B, K, K].
    Returns:
        [B], squared logits per squared input unit.
    """
    K = gram.shape[1]
    return pair_distances(gram).square().sum((1, 2)) / K**2


def cross_lipschitz_binary(gram: Tensor) -> Tensor:
    """Local cross-Lipschitz constant `ν = ‖v_+ − v_−‖₂` of a binary classifier (Guo et al., §3.2).

    Args:
        gram: [B, 2, 2].
    Returns:
        [B], logits per input unit.
    Raises:
        ValueError: where there are more than two classes.
    """
    if gram.shape[1] != 2:
        raise ValueError(f"ν is defined for 2 classes, not {gram.shape[1]}; use cross_lipschitz")
    return pair_distances(gram)[:, 0, 1]


def gradient_norm(gram: Tensor, logits: Tensor, y: Tensor) -> Tensor:
    """`‖∇_x L‖₂ = √((p − e_y)ᵀ G (p − e_y))` of the cross-entropy; `(1 − p_y)ν` when K = 2 (Guo et
    al., eq. 7 and 11).

    Args:
        gram: [B, K, K].
        logits: [B, K].
        y: [B] class indices.
    Returns:
        [B], nats per input unit.
    """
    # Softmax minus one-hot, without the cancellation of p_y − 1.
    of_label = -probability_of_others(logits, y)[:, None]
    w = logits.softmax(1).scatter(1, y[:, None], of_label).to(gram.dtype)
    return torch.einsum("bi,bij,bj->b", w, gram, w).clamp_min(0).sqrt()


def hessian_norm(gram: Tensor, logits: Tensor) -> Tensor:
    """`‖H‖₂` of the cross-entropy's Hessian in the input, `H = V(diag p − ppᵀ)Vᵀ`, for any K and
    whatever the label.

    Exact for piecewise-linear nets, the Gauss-Newton part for others; `p_y(1 − p_y)ν²` when K = 2.
    Guo et al. (eq. 15 and App. H) print `pᵀp` for the outer product and hold that more classes need
    an approximation: a K × K eigenproblem does.

    Args:
        gram: [B, K, K].
        logits: [B, K].
    Returns:
        [B], nats per squared input unit.
    """
    # H is unchanged when a vector is taken from all columns of V. Taking the likeliest class's
    # leaves the others' small probabilities as factors of every entry, so that nothing cancels as p
    # → one-hot: with D those columns, s = √p of the other classes, S = diag s: H = D S (I − ssᵀ) S
    # Dᵀ, and I − ssᵀ = (I − c ssᵀ)² with c = 1 / (1 + √p_top).
    top = logits.argmax(1)
    to_top = gram.gather(2, top[:, None, None].expand(-1, gram.shape[1], 1))  # [B, K, 1], G_jt
    square = to_top.gather(1, top[:, None, None])  # [B, 1, 1], G_tt
    centred = gram - to_top - to_top.transpose(1, 2) + square
    p = logits.softmax(1).to(gram.dtype)
    s = p.sqrt().scatter(1, top[:, None], 0)  # the likeliest class drops out
    c = 1 / (1 + p.amax(1).sqrt())
    outer = (c[:, None] * s.square())[:, :, None] * s[:, None, :]
    half = torch.diag_embed(s) - outer  # S (I − c ssᵀ)
    return largest_eigenvalue(half.transpose(1, 2) @ centred @ half)


def spectral_norm(gram: Tensor) -> Tensor:
    """`σ₁(V) = √λ_max(G)`, data-dependent spectral norm (Roth et al.). gram [B, K, K] → [B], logits
    per input unit.
    """
    return largest_eigenvalue(gram).sqrt()


def largest_eigenvalue(matrices: Tensor) -> Tensor:
    """Of symmetric positive semi-definite matrices [B, K, K] → [B]; nan where an entry is not
    finite.
    """
    finite = matrices.isfinite().all(2).all(1)
    # One example that diverged would make the whole batch's eigensolver raise.
    values = torch.linalg.eigvalsh(torch.where(finite[:, None, None], matrices, 0))
    return torch.where(finite, values[:, -1].clamp_min(0), torch.nan)
