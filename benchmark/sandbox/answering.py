"""The child's end of a training: at weights and a batch that the trainer outside hands in, a
submitted regularizer's images, its penalty and its penalty's gradient.

Nothing is kept from one request to the next: weights, noise and state come with each.
"""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from registry.spec import Trial

from ..regularizer import Noise, Regularizer, Step, load_regularizer
from ..training.networks import couples_examples, create
from . import shared
from .child import Channel


def job(channel: Channel) -> None:
    """Answers until it is asked no more: a sandbox's job."""
    model, tensors = prepared(channel.task)
    _warm()
    channel.begin()
    answer(channel, model, tensors)


def _warm() -> None:
    """Has torch load what it loads with the first gradient of a function: its two seconds would
    count as the method's.
    """
    torch.func.grad(torch.sum)(torch.ones(1))


def prepared(task: dict[str, Any]) -> tuple[nn.Module, dict[str, Tensor]]:
    """The task's network, whose weights lie in the shared memory, and all that lies there."""
    torch.set_num_threads(1)
    trial = Trial.model_validate_json(json.dumps(task["trial"]))
    tensors = shared.tensors(task["layout"], task["memory"])
    model = create(trial.architecture, trial.dataset, seed=trial.seed).to(tensors["x"].dtype)
    weights = {name: tensors[f"weights.{name}"] for name in model.state_dict()}
    model.load_state_dict(weights, assign=True)
    return model, tensors


def answer(channel: Channel, model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Says which hooks the regularizer has, then answers every request."""
    task = channel.task
    trial = task["trial"]
    regularizer = load_regularizer(
        Path(task["submission"]), trial["params"], trial["regularizer_sha256"]
    )
    base = type(regularizer)
    channel.say(
        hooks={
            "training_input": base.training_input is not Regularizer.training_input,
            "after_epoch": base.after_epoch is not Regularizer.after_epoch,
        }
    )
    coupled = couples_examples(model)
    while (request := channel.asked()) is not None:
        model.train(not coupled)
        if "step" in request:
            channel.say(answer=_step(regularizer, model, tensors, **request["step"]))
        else:
            regularizer.after_epoch(model, request["after_epoch"])
            for name, value in model.state_dict().items():  # it may have put others in their place
                tensors[f"weights.{name}"].copy_(value)
            channel.say(answer={})


class _Single(Noise):
    """Draws float32 whatever the dtype, so that a step asked in float64 has the same chance."""

    def randn(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        return torch.randn(shape, generator=self.generator).to(like.dtype)

    def rand(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        return torch.rand(shape, generator=self.generator).to(like.dtype)


def _step(
    regularizer: Regularizer,
    model: nn.Module,
    tensors: dict[str, Tensor],
    strength: float,
    progress: float,
    state: int,
    images: bool,
) -> dict[str, Any]:
    """Puts the answer into the shared memory; returns what does not lie there.

    Args:
        state: bytes of it that lie in the shared memory.
        images: whether the penalty is asked at the images that lie there, whatever the method
            would train on.
    """
    generator = torch.Generator().set_state(tensors["noise"].clone())
    kept = _unpacked(tensors["state"][:state], tensors["x"].dtype)
    parameters = dict(model.named_parameters())
    x = tensors["x"].clone()
    step = Step(
        model,
        x,
        tensors["y"].clone(),
        parameters=parameters,
        strength=strength,
        progress=progress,
        noise=_Single(generator),
        state=kept,
    )
    try:
        trained_on = regularizer.training_input(step)
        if images:
            step = step.at(tensors["images"].clone())
        elif trained_on is not x:
            tensors["images"].copy_(trained_on)
            step = step.at(trained_on)
        penalty = regularizer.penalty(step).mean()
        gradients = _gradients(penalty, list(parameters.values()))
    except torch.linalg.LinAlgError:  # pyright: ignore[reportPrivateImportUsage]
        return {"decomposed": False, "images": False, "state": 0}
    tensors["penalty"].copy_(penalty.detach())
    for name, gradient in zip(parameters, gradients, strict=True):
        tensors[f"gradient.{name}"].copy_(gradient.detach())
    tensors["noise"].copy_(generator.get_state())
    content = _packed(kept, most=len(tensors["state"]))
    tensors["state"][: len(content)].copy_(content)
    return {"decomposed": True, "images": trained_on is not x, "state": len(content)}


def _gradients(penalty: Tensor, parameters: list[Tensor]) -> tuple[Tensor, ...]:
    if not penalty.requires_grad:
        return tuple(torch.zeros_like(parameter) for parameter in parameters)
    return torch.autograd.grad(penalty, parameters, allow_unused=True, materialize_grads=True)


def _packed(state: MutableMapping[str, Tensor], most: int) -> Tensor:
    """`Step.state` as the bytes of a safetensors file; none where it is empty."""
    if not state:
        return torch.empty(0, dtype=torch.uint8)
    content = save({name: value.detach().contiguous() for name, value in state.items()})
    if len(content) > most:
        raise ValueError(f"step.state holds {len(content)} bytes; {most} are the most")
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


def _unpacked(content: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
    """What `_packed` gave, its real numbers in the dtype of the step."""
    kept = load(content.numpy().tobytes()) if len(content) else {}
    return {
        name: value.to(dtype) if value.is_floating_point() else value
        for name, value in kept.items()
    }
