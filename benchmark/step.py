"""One training step as a regularizer sees it, where its random numbers come from, and the mode in
which an example's derivatives are its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch._C._functorch import peek_interpreter_stack
from torch.nn import functional as F

COTANGENTS_AT_ONCE = 100  # bounds the memory of a Jacobian; more at once is no faster


class Noise:
    """Random numbers from a generator; from torch's own where none is given.

    An engine that cannot draw inside its step hands in an object of its own with these two methods.
    """

    def __init__(self, generator: torch.Generator | None = None):
        self.generator = generator

    def randn(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Standard normal numbers of `like`'s type, on its device."""
        return torch.randn(shape, generator=self.generator, dtype=like.dtype, device=like.device)

    def rand(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Uniform numbers in [0, 1) of `like`'s type, on its device."""
        return torch.rand(shape, generator=self.generator, dtype=like.dtype, device=like.device)


class Step:
    """One training step as a regularizer sees it. Derivatives are computed once, on first use, and
    shared with the loss.

    Attributes:
        model: images [B, C, H, W] in [0, 1] → logits [B, K]; pure. BatchNorm uses running
            statistics, so that an example's derivatives are its own.
        parameters: name → parameter of the model.
        x, y: images [B, C, H, W] and class indices [B].
        strength: the λ of this step, a number or a scalar tensor, for methods whose strength is no
            weight. Never multiply a penalty by it.
        progress: from 0 at the first step to 1 at the last, a number or a scalar tensor.
        noise: what `randn` and `rand` draw from.
        state: tensors kept from step to step and saved with the trial, for warm starts. Assign new
            tensors, never write into one: an engine may hand in a step's state and take the next
            one out.
        clean: the step at the images as the data gave them; itself, unless `training_input`
            replaced them.

    What is computed once and shared keeps the graph of whoever made the step: a step made under
    `torch.no_grad()` (by `at`, in an attack) records nothing, while the training step stays
    differentiable wherever it is first looked at.
    """

    def __init__(
        self,
        model: Callable[[Tensor], Tensor],
        x: Tensor,
        y: Tensor,
        *,
        parameters: Mapping[str, Tensor] | None = None,
        strength: float | Tensor = 1.0,
        progress: float | Tensor = 1.0,
        noise: Noise | None = None,
        state: MutableMapping[str, Tensor] | None = None,
    ):
        if parameters is None:
            parameters = dict(model.named_parameters()) if isinstance(model, nn.Module) else {}
        self.model, self.parameters = model, parameters
        self.x, self.y = x, y
        self.strength, self.progress = strength, progress
        self.state: MutableMapping[str, Tensor] = {} if state is None else state
        self.clean: Step = self
        self.noise = Noise() if noise is None else noise
        self._recorded = torch.is_grad_enabled()
        self._jacobians: dict[tuple[bool, bool], Tensor] = {}

    def at(self, x: Tensor) -> Step:
        """The same step at other images, one for each of `y`."""
        step = type(self)(
            self.model,
            x,
            self.y,
            parameters=self.parameters,
            strength=self.strength,
            progress=self.progress,
            noise=self.noise,
            state=self.state,
        )
        step.clean = self.clean
        return step

    @cached_property
    def _primal(self) -> tuple[Tensor, Callable[..., Tensor]]:
        if peek_interpreter_stack() is not None:  # mapped by an engine, or by the method itself
            with torch.set_grad_enabled(self._recorded):
                logits, pullback, *_ = torch.func.vjp(self.model, self.x)

            def pull_mapped(u: Tensor, batched: bool = False) -> Tensor:
                return (torch.func.vmap(pullback) if batched else pullback)(u)[0]

            return logits, pull_mapped
        # Plain autograd gives the same bits and, on small nets, takes up to a fifth less time than
        # torch.func.
        with torch.enable_grad():
            x = self.x if self.x.requires_grad else self.x.detach().requires_grad_()
            logits = self.model(x)

        def pull(u: Tensor, batched: bool = False) -> Tensor:
            recorded = self._recorded and torch.is_grad_enabled()
            return torch.autograd.grad(
                logits, x, u, create_graph=recorded, retain_graph=True, is_grads_batched=batched
            )[0]

        return logits if self._recorded else logits.detach(), pull

    @property
    def logits(self) -> Tensor:
        """[B, K]."""
        return self._primal[0]

    @cached_property
    def losses(self) -> Tensor:
        """[B], cross-entropy."""
        with torch.set_grad_enabled(self._recorded):
            return F.cross_entropy(self.logits, self.y, reduction="none")

    @cached_property
    def input_gradient(self) -> Tensor:
        """[B, C, H, W], each example's ∇_x of its cross-entropy, `V(p − e_y)`: one vector-Jacobian
        product.
        """
        with torch.set_grad_enabled(self._recorded):
            is_y = self.y[:, None] == torch.arange(self.logits.shape[1], device=self.y.device)
            others = self.logits.softmax(1).masked_fill(is_y, 0)
            # 1 − p_y as the sum of the other classes' p: the difference is 0 in float32 once p_y >
            # 1 − 6e-8
            return self.vjp(others - is_y * others.sum(1, keepdim=True))

    def vjp(self, u: Tensor) -> Tensor:
        """Products of logit-space vectors with the Jacobian: u [B, K] → [B, C, H, W], or [m, B, K]
        → [m, B, C, H, W].
        """
        pull = self._primal[1]
        if u.ndim == 2:
            return pull(u)
        if len(u) == 1:
            return pull(u[0])[None]
        # On a CPU a convolution's mapped backward pass is slower than its loop (1.7 ×); a linear
        # layer's is faster.
        convolves = any(weight.ndim == 4 for weight in self.parameters.values())
        if convolves and self.x.device.type == "cpu":
            return torch.stack([pull(direction) for direction in u])
        return torch.cat([pull(chunk, batched=True) for chunk in u.split(COTANGENTS_AT_ONCE)])

    def jvp(self, d: Tensor) -> Tensor:
        """Directional derivatives of the logits: d [B, C, H, W] → [B, K]."""
        with warnings.catch_warnings():
            # Torch's own forward mode compiles its rules with torch.jit.script on first use.
            # Of which kind its warning is depends on torch's version.
            warnings.filterwarnings("ignore", ".torch.jit.script. is deprecated")
            return torch.func.jvp(self.model, (self.x,), (d,))[1]

    def hvp(self, u: Tensor, d: Tensor) -> Tensor:
        """Products of the input Hessians of ⟨u, logits⟩ with d: u [m, B, K], d [m, B, C, H, W] →
        [m, B, C, H, W].

        All m products go through the model as one batch of m·B images, reverse over reverse: the
        backward passes of the smooth activations have no forward-mode derivative.
        """
        cotangents = u.flatten(0, 1)

        def gradient(x: Tensor) -> Tensor:
            return torch.func.vjp(self.model, x)[1](cotangents)[0]

        _, pullback, *_ = torch.func.vjp(gradient, self.x.expand_as(d).flatten(0, 1))
        return pullback(d.flatten(0, 1))[0].view_as(d)

    def jacobian(self, detached: bool = False, relative: bool = False) -> Tensor:
        """[B, K, C·H·W], row k the input gradient of logit k (`Vᵀ` of the theory): K
        vector-Jacobian products.

        Args:
            detached: as a constant, two to four times cheaper, for methods that need no derivative
                of it.
            relative: less the last row from every row, for methods that ignore a vector added to
                all: one product fewer, half of them for two classes.
        """
        if (False, relative) in self._jacobians:
            jacobian = self._jacobians[False, relative]
            return jacobian.detach() if detached else jacobian
        if (detached, relative) not in self._jacobians:
            # Without recording the backward passes are less than half of their cost.
            with torch.set_grad_enabled(self._recorded and not detached):
                self._jacobians[detached, relative] = self._each_logit_gradient(relative)
        return self._jacobians[detached, relative]

    def _each_logit_gradient(self, relative: bool) -> Tensor:
        B, K = self.logits.shape
        u = torch.eye(K, dtype=self.x.dtype, device=self.x.device)
        if relative:
            u = u[:-1] - u[-1]
        V = self.vjp(u[:, None].expand(len(u), B, K)).flatten(2).transpose(0, 1)
        return F.pad(V, (0, 0, 0, K - len(u)))

    def gram(self) -> Tensor:
        """[B, K, K], inner products of the logits' input gradients."""
        V = self.jacobian()
        return V @ V.transpose(1, 2)

    def randn(self, shape: tuple[int, ...]) -> Tensor:
        """Standard normal numbers: with `rand` the only chance that a regularizer may use."""
        return self.noise.randn(shape, self.x)

    def rand(self, shape: tuple[int, ...]) -> Tensor:
        """Uniform numbers in [0, 1)."""
        return self.noise.rand(shape, self.x)


@contextmanager
def evaluation_mode(model: Any) -> Iterator[None]:
    """Puts a model in evaluation mode, so that an example's logits and derivatives are its own.

    On leaving, also by an exception, every submodule has its mode again. Whoever made a callable
    that is no nn.Module answers for its mode.
    """
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    modes = [module.training for module in modules]
    try:
        for module in modules:
            module.training = False
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
