"""What every regularizer, registered or submitted, must keep to in each of its variants: one
function a demand, named by the sentence in DEMANDS.

The tests run them over the registry, and `regbench check` runs them, in the sandbox, on a
submission. `demands_of_the_card` has those that are asked once of a method.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from registry.load import Registry

from ..regularizer import Noise, Step
from ..training import networks
from .specimen import B, Reordered, Subject, batch, gradients, losses_and_penalty, plain, step_of
from .unfit import close, finite_gradient, require, require_finite


def penalty_has_one_value_an_example(subject: Subject) -> None:
    """λ weighs a mean over examples: one value of each, or a scalar, on images in [0, 1]."""
    for dtype in (torch.float32, torch.float64):
        model, (x, y) = plain(subject, dtype=dtype), batch(dtype=dtype)
        regularizer = subject.load()
        images = regularizer.training_input(step_of(subject, model, x, y))
        require(
            images.shape == x.shape and images.dtype == dtype and not images.requires_grad,
            "training_input must give images like x, without a graph",
        )
        require(
            float(images.min()) >= 0 and float(images.max()) <= 1, "training_input leaves [0, 1]"
        )
        losses, penalty = losses_and_penalty(regularizer, step_of(subject, model, x, y))
        require(
            penalty.shape in ((B,), ()),
            f"penalty(step) must return one value an example, [{B}], or a scalar, not "
            f"{list(penalty.shape)}",
        )
        require(
            penalty.dtype == dtype,
            f"penalty(step) must keep x's dtype, {dtype}, not {penalty.dtype}",
        )
        require(bool(penalty.isfinite().all()), "the penalty is not finite")
        require(bool(losses.isfinite().all()), "the loss at its images is not finite")


def changes_what_is_trained(subject: Subject) -> None:
    """A penalty that does not depend on every weight matrix does not regularize the network."""
    if subject.is_control:
        return
    model, (x, y) = plain(subject), batch()
    weights = list(model.parameters())
    plain_gradient = torch.autograd.grad(Step(model, x, y).losses.mean(), weights)
    gradient = finite_gradient(subject, model, x, y, "on random images")
    changed = [
        not torch.equal(*pair)
        for weight, *pair in zip(weights, gradient, plain_gradient)
        if weight.ndim > 1
    ]
    if not any(changed):
        before = [w.detach().clone() for w in weights]
        subject.load().after_epoch(model, 4.0)
        changed = [
            not torch.equal(*pair)
            for weight, *pair in zip(weights, before, weights)
            if weight.ndim > 1
        ]
    require(
        any(changed),
        "it changes nothing that is trained: its penalty does not depend on the weights",
    )
    require(all(changed), f"it changes only {sum(changed)} of {len(changed)} weight matrices")


def order_does_not_matter(subject: Subject) -> None:
    """An example's penalty rests on that example alone: batches are only a way to compute."""
    model, (x, y) = plain(subject), batch()
    losses, penalty = losses_and_penalty(subject.load(), step_of(subject, model, x, y))
    step = Reordered(
        model,
        x[Reordered.order],
        y[Reordered.order],
        strength=subject.strength,
        noise=Noise(torch.Generator().manual_seed(11)),
    )
    losses_after, penalty_after = losses_and_penalty(subject.load(), step)
    if penalty.ndim:
        penalty = penalty[Reordered.order]
    close(
        penalty_after,
        penalty,
        1e-6,
        1e-12,
        "an example's penalty depends on the others of its batch",
    )
    close(
        losses_after,
        losses[Reordered.order],
        1e-6,
        1e-12,
        "an example's loss depends on the others of its batch",
    )


def leaves_everything_as_it_was(subject: Subject) -> None:
    """A step computes, keeps only `step.state`, and draws by `step.randn` and `step.rand`."""
    activation = "swish" if subject.card.smooth_activation else "relu"
    model: Any = networks.create(
        Registry().architecture(f"conv4_bn:activation={activation}"),
        Registry().dataset("digits"),
        seed=0,
    )
    model.eval()
    model.net.features.train()  # a mixture of modes, which must come back as it is
    model.net.features.apply(lambda m: m.eval() if isinstance(m, nn.BatchNorm2d) else None)
    x, y = batch(4, dtype=torch.float32)
    before, attributes = (
        copy.deepcopy(model.state_dict()),
        [_attributes(module) for module in model.modules()],
    )
    inputs, state = (x.clone(), y.clone()), torch.get_rng_state()
    values = [losses_and_penalty(subject.load(), step_of(subject, model, x, y)) for _ in range(2)]
    require(
        all(torch.equal(*pair) for pair in zip(*values)),
        "the same step gives another penalty the second time: draw with "
        "step.randn and step.rand only",
    )
    require(
        torch.equal(torch.get_rng_state(), state),
        "it draws from torch's global generator: use step.randn and step.rand",
    )
    require(
        all(torch.equal(value, before[key]) for key, value in model.state_dict().items()),
        "it writes into the model",
    )
    require(
        [_attributes(module) for module in model.modules()] == attributes,
        "it leaves the model changed: its mode, its hooks or its forward",
    )
    require(
        all(p.requires_grad and p.grad is None for p in model.parameters()),
        "it leaves gradients on the model, or switches them off: use torch.autograd.grad, or "
        "step.vjp",
    )
    require(torch.equal(x, inputs[0]) and torch.equal(y, inputs[1]), "it writes into x or y")


def _attributes(module: nn.Module) -> dict[str, Any]:
    """A module's own attributes, among them its mode, how many hooks it has, and a forward that it
    should not have.
    """
    return {
        name: len(value) if isinstance(value, dict) else id(value)
        for name, value in vars(module).items()
    }


def unusual_batches_do_no_harm(subject: Subject) -> None:
    """A batch may hold one example, or one class; a black image is an image."""
    model, (x, y) = plain(subject), batch()
    for case, images, labels in (
        ("one example", x[:1], y[:1]),
        ("one class", x, y * 0),
        ("black images", x * 0, y),
    ):
        finite_gradient(subject, model, images, labels, f"on a batch of {case}")


def a_flat_model_does_no_harm(subject: Subject) -> None:
    """Norms have no derivative at 0, which a network may reach: the gradient is finite there."""
    model, (x, y) = plain(subject), batch()
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
    losses, penalty = losses_and_penalty(subject.load(), step_of(subject, model, x, y))
    found = gradients(losses.mean() + penalty.mean(), model)
    require_finite(
        found, "the penalty's gradient is not finite where every derivative of the model vanishes"
    )


def maps_over_stacked_models(subject: Subject) -> None:
    """Under `torch.func.vmap`, as a GPU trains many models, each gives what it gives alone."""
    if not subject.card.stackable:
        return
    nets, (x, y), regularizer = [plain(subject, seed) for seed in range(3)], batch(), subject.load()
    stacked, buffers = torch.func.stack_module_state(list(nets))
    require(not buffers, "the plain net has buffers")
    strengths = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64) * subject.strength

    def values(weights: Any, weight: Tensor, state: Any) -> tuple[Tensor, Any]:
        state = dict(state)
        step = step_of(
            subject,
            lambda images: torch.func.functional_call(nets[0], weights, (images,)),
            x,
            y,
            parameters=weights,
            strength=weight,
            state=state,
        )
        losses, penalty = losses_and_penalty(regularizer, step)
        return losses.mean() + penalty.mean(), state

    def gradient_and_value(weights: Any, weight: Tensor, state: Any) -> Any:
        return torch.func.grad_and_value(values, has_aux=True)(weights, weight, state)

    mapped = torch.func.vmap(gradient_and_value, randomness="same")
    mean_gradients, (loss, state) = mapped(stacked, strengths, {})
    if state:  # a second step, from the state that the first left
        mean_gradients, (loss, state) = mapped(stacked, strengths, state)
    why = (
        "over stacked models it gives another {}; mend that, or set stackable = false in card.toml"
    )
    for i, net in enumerate(nets):
        own_state: dict[str, Tensor] = {}
        total = x.new_zeros(())
        for _ in range(2 if state else 1):
            losses, penalty = losses_and_penalty(
                regularizer,
                step_of(subject, net, x, y, strength=float(strengths[i]), state=own_state),
            )
            total = losses.mean() + penalty.mean()
        close(loss[i], total, 1e-7, 1e-10, why.format("value"))
        for (key, _), gradient in zip(net.named_parameters(), gradients(total, net)):
            close(mean_gradients[key][i], gradient, 1e-5, 1e-9, why.format("gradient"))


Demand = Callable[[Subject], None]
DEMANDS: dict[str, Demand] = {  # asked of every variant
    "the penalty is finite, one value an example or a scalar": penalty_has_one_value_an_example,
    "it changes what is trained, with a finite gradient": changes_what_is_trained,
    "the batch's order does not matter": order_does_not_matter,
    "the same step gives the same values and leaves everything as it was": (
        leaves_everything_as_it_was
    ),
    "unusual batches do no harm": unusual_batches_do_no_harm,
    "a model whose every derivative vanishes does no harm": a_flat_model_does_no_harm,
    "it maps over stacked models": maps_over_stacked_models,
}
