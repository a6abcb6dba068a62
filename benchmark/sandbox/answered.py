"""A submitted regularizer as the trainer sees it: it asks a child, and checks what it hears."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import safetensors
import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from ..regularizer import Regularizer, Step
from ..training.networks import couples_examples
from .process import Child, SandboxError, line


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Hooks(_Said):
    """Which methods of a regularizer the submission has."""

    training_input: bool
    after_epoch: bool


class Answer(_Said):
    """What stands in the shared memory after a step: whether images do, and how many bytes of
    state. `decomposed` is false where a matrix of the step had no decomposition.
    """

    decomposed: bool
    images: bool
    state: Annotated[int, Field(ge=0)]


class Projected(_Said):
    """The weights after an epoch stand in the shared memory."""


S = TypeVar("S", bound=_Said)


class Answered(Regularizer):
    """A submitted regularizer as the trainer sees it: a child answers.

    gradient: that of the last penalty, by its parameters.
    rewrote: whether it has changed weights after an epoch.
    """

    def __init__(
        self,
        child: Child,
        tensors: dict[str, Tensor],
        model: nn.Module,
        noise: torch.Generator,
    ):
        self._child, self._tensors, self._model = child, tensors, model
        self._coupled, self._noise = couples_examples(model), noise.get_state()
        self._hooks = said(child, "hooks", Hooks)
        self._state, self._heard = torch.empty(0, dtype=torch.uint8), True
        self.gradient: dict[str, Tensor] = {}
        self.rewrote = False

    def training_input(self, step: Step) -> Tensor:
        self.ask(step)
        if not (self._hooks.training_input and self._hear()):
            return step.x
        images = self._tensors["images"].clone(memory_format=torch.contiguous_format)
        if bool(((images < 0) | (images > 1)).any()):
            raise SandboxError("its training_input leaves [0, 1]")
        return images

    def penalty(self, step: Step) -> Tensor:  # scalar
        if not self._heard:
            if not self._coupled:
                _ = step.losses  # the trainer needs them: found while the child is at work
            self._hear()
        # Copied at once: the child may write there at any time until the backward pass.
        self.gradient = {
            name: self._tensors[f"gradient.{name}"].clone() for name in step.parameters
        }
        value, gradients = self._tensors["penalty"].clone(), [*self.gradient.values()]
        return _Given.apply(value, gradients, *step.parameters.values())

    def after_epoch(self, model: nn.Module, strength: float) -> None:
        if not self._hooks.after_epoch:
            return
        self._put_weights()
        self._child.ask(after_epoch=strength)
        said(self._child, "answer", Projected)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                proposed = self._tensors[f"weights.{name}"].clone()
                self.rewrote |= not torch.equal(proposed, parameter)
                parameter.copy_(proposed)

    def state(self) -> dict[str, Tensor]:
        """What the steps have left in `Step.state`. Raises SandboxError where it is not tensors."""
        if not len(self._state):
            return {}
        try:
            return safetensors.torch.load(self._state.numpy().tobytes())
        except (safetensors.SafetensorError, ValueError, KeyError) as error:
            raise SandboxError(line(f"its state is no safetensors file ({error})")) from None

    def ask(self, step: Step) -> dict[str, Any]:
        """Hands a step to the child; returns what it is told beside the shared memory."""
        self._put_weights()
        self._tensors["x"].copy_(step.x)
        self._tensors["y"].copy_(step.y)
        self._tensors["noise"].copy_(self._noise)
        self._tensors["state"][: len(self._state)].copy_(self._state)
        request = {
            "strength": step.strength,
            "progress": step.progress,
            "state": len(self._state),
            "images": False,
        }
        self._child.ask(step=request)
        self._heard = False
        return request

    def _put_weights(self) -> None:
        for name, value in self._model.state_dict().items():
            self._tensors[f"weights.{name}"].copy_(value)

    def _hear(self) -> bool:
        """Whether it gave images of its own. Takes the noise and the state to begin the next step
        with.
        """
        answer = said(self._child, "answer", Answer)
        self._heard = True
        if not answer.decomposed:
            raise torch.linalg.LinAlgError(  # pyright: ignore[reportPrivateImportUsage]
                "a matrix of its penalty has no decomposition"
            )
        self._noise = self._tensors["noise"].clone()
        if answer.state > len(self._tensors["state"]):
            raise SandboxError("it says that its state is larger than the memory for it")
        self._state = self._tensors["state"][: answer.state].clone()
        return answer.images


class _Given(torch.autograd.Function):
    """A value whose gradient is already known."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: list[Tensor], *parameters: Tensor) -> Tensor:
        ctx.gradients = gradients
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *(upstream[0] * gradient for gradient in ctx.gradients)


def said(child: Child, name: str, kind: type[S]) -> S:
    """What a child says next, where it is of this kind. Raises SandboxError where it is not."""
    try:
        return kind.model_validate(child.hear().get(name))
    except ValidationError:
        raise SandboxError(f"what it answered is no {name}") from None
