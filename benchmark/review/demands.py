"""What every regularizer, registered or submitted, must keep to: one function a demand, named by
the sentence in DEMANDS.

The tests run them over the registry, and `regbench check` runs them, in the sandbox, on a
submission.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.testing import assert_close

from registry.load import Registry
from registry.spec import Card, Dataset, Recipe

from ..data.splits import Split
from ..regularizer import Noise, Step
from ..training import networks
from ..training.loop import Phase, train
from . import closed_form as linear_form
from .specimen import CLASSES, SIDE, B, Subject, batch, gradients, parts, plain, step_of


class Unfit(Exception):
    """A demand that is not kept. The message is one line."""


def require(kept: bool, otherwise: str) -> None:
    if not kept:
        raise Unfit(otherwise)


def close(one: Tensor, other: Tensor, rtol: float, atol: float, otherwise: str) -> None:
    try:
        assert_close(one, other, rtol=rtol, atol=atol)
    except AssertionError as error:
        raise Unfit(f"{otherwise} ({' '.join(str(error).split())[:160]})") from None


def finite_gradient(
    subject: Subject, model: nn.Module, x: Tensor, y: Tensor, where: str
) -> tuple[Tensor, ...]:
    losses, penalty = parts(subject.load(), step_of(subject, model, x, y))
    require(bool(penalty.isfinite().all()), f"the penalty is not finite {where}")
    found = gradients(losses.mean() + penalty.mean(), model)
    require(
        all(bool(g.isfinite().all()) for g in found),
        f"the penalty's gradient is not finite {where}",
    )
    return found


# --- demands
# ----------------------------------------------------------------------------------------------------


def names_its_params(subject: Subject) -> None:
    card, regularizer = subject.card, subject.load()
    code = {f.name: f.default for f in fields(regularizer)}
    stated = {name: param.default for name, param in card.params.items()}
    require(code == stated, f"regularizer.py has the fields {code}, card.toml the params {stated}")
    for name, param in card.params.items():
        require(
            param.doc.endswith("."),
            f"card.toml: params.{name}.doc must be a sentence, with a full stop",
        )
        if param.default is not None:
            require(
                param.parse(str(param.default).lower()) == param.default,
                f"card.toml: params.{name}.default is not allowed by itself",
            )


def penalty_has_one_value_an_example(subject: Subject) -> None:
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
        losses, penalty = parts(regularizer, step_of(subject, model, x, y))
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


class Reordered(Step):
    """A step whose examples come in another order, each with the noise that it had in the first."""

    order = torch.tensor([5, 4, 2, 6, 0, 3, 1])

    def _reordered(self, noise: Tensor) -> Tensor:
        for dim, size in enumerate(noise.shape):
            if size == B:
                noise = noise.index_select(dim, self.order)
        return noise

    def at(self, x: Tensor) -> Step:
        step = super().at(x)
        step.__class__ = Reordered
        return step

    def randn(self, shape: tuple[int, ...]) -> Tensor:
        return self._reordered(super().randn(shape))

    def rand(self, shape: tuple[int, ...]) -> Tensor:
        return self._reordered(super().rand(shape))


def order_does_not_matter(subject: Subject) -> None:
    model, (x, y) = plain(subject), batch()
    losses, penalty = parts(subject.load(), step_of(subject, model, x, y))
    step = Reordered(
        model,
        x[Reordered.order],
        y[Reordered.order],
        strength=subject.strength,
        noise=Noise(torch.Generator().manual_seed(11)),
    )
    losses_after, penalty_after = parts(subject.load(), step)
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


def digits() -> Dataset:
    return Registry().dataset("digits")


def leaves_everything_as_it_was(subject: Subject) -> None:
    activation = "swish" if subject.card.smooth_activation else "relu"
    model: Any = networks.create(
        Registry().architecture(f"conv4_bn:activation={activation}"), digits(), seed=0
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
    values = [parts(subject.load(), step_of(subject, model, x, y)) for _ in range(2)]
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
        "it leaves gradients on the model, or switches them off: use torch.autograd.grad, or step.vjp",
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


def trained(subject: Subject | None, card: Subject, strength: float) -> dict[str, Tensor]:
    """The weights after two short epochs; `subject` None trains the control."""
    model = plain(card, dtype=torch.float32)
    images, labels = batch(40)
    split = Split(images=(images * 255).byte(), labels=labels, white=255)
    phase = Phase.of(Recipe(batch_size=10, learning_rate=0.05, fine_tune_epochs=2), "fine_tune", 40)
    training = train(
        model,
        split,
        phase,
        seed=0,
        regularizer=subject.load() if subject else None,
        strength=strength,
    )
    require(training.status == "finished", f"a short training at λ = {strength:g} diverges")
    return model.state_dict()


def lambda_zero_is_the_control(subject: Subject) -> None:
    control, other = trained(None, subject, 0.0), trained(subject, subject, 0.0)
    require(
        all(torch.equal(other[key], value) for key, value in control.items()),
        "λ = 0 trains otherwise than the control",
    )


def a_positive_lambda_trains_otherwise(subject: Subject) -> None:
    if subject.is_control:
        return
    control, other = trained(None, subject, 0.0), trained(subject, subject, subject.card.grid[-1])
    require(
        not all(torch.equal(other[key], value) for key, value in control.items()),
        f"λ = {subject.card.grid[-1]:g}, the largest of its grid, trains as λ = 0 does",
    )


def unusual_batches_do_no_harm(subject: Subject) -> None:
    model, (x, y) = plain(subject), batch()
    for case, images, labels in (
        ("one example", x[:1], y[:1]),
        ("one class", x, y * 0),
        ("black images", x * 0, y),
    ):
        finite_gradient(subject, model, images, labels, f"on a batch of {case}")


def a_flat_model_does_no_harm(subject: Subject) -> None:
    model, (x, y) = plain(subject), batch()
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
    losses, penalty = parts(subject.load(), step_of(subject, model, x, y))
    found = gradients(losses.mean() + penalty.mean(), model)
    require(
        all(bool(g.isfinite().all()) for g in found),
        "the penalty's gradient is not finite where every derivative of the model vanishes",
    )


def maps_over_stacked_models(subject: Subject) -> None:
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
        losses, penalty = parts(regularizer, step)
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
            losses, penalty = parts(
                regularizer,
                step_of(subject, net, x, y, strength=float(strengths[i]), state=own_state),
            )
            total = losses.mean() + penalty.mean()
        close(loss[i], total, 1e-7, 1e-10, why.format("value"))
        for (key, _), gradient in zip(net.named_parameters(), gradients(total, net)):
            close(mean_gradients[key][i], gradient, 1e-5, 1e-9, why.format("gradient"))


def allowed_networks(card: Card) -> list[str]:
    """The registered networks of which a step on a blank digit costs little, with an activation
    that the method allows.
    """
    known = Registry().architectures
    heavy = ("wrn", "vgg", "cnn7", "resnet_110", "resnet_56", "preact")
    light = [name for name in known if not name.startswith(heavy)]
    if not card.smooth_activation:
        return light
    return [
        name if known[name].activation == "swish" else f"{name}:activation=swish"
        for name in light
        if known[name].activation is not None
    ]


def works_on_every_light_network(subject: Subject) -> None:
    x, y = batch(2, classes=10, dtype=torch.float32)
    registry, dataset = Registry(), digits()
    for network in allowed_networks(subject.card):
        model = networks.create(registry.architecture(network), dataset, seed=0).eval()
        losses, penalty = parts(subject.load(), step_of(subject, model, x, y))
        found = gradients(losses.mean() + penalty.mean(), model)
        require(
            all(bool(g.isfinite().all()) for g in found),
            f"the penalty's gradient is not finite on {network}",
        )


def agrees_with_its_closed_form(subject: Subject) -> None:
    if subject.card.linear_model is None:
        return
    x, y = batch()
    model = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, CLASSES)).double()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(generator=generator)
    regularizer = subject.load()
    _, penalty = parts(regularizer, step_of(subject, model, x, y))
    W, b = (p.detach().numpy() for p in model.parameters())
    try:
        stated = linear_form.evaluate(
            subject.card.linear_model, W, b, x.flatten(1).numpy(), y.numpy(), vars(regularizer)
        )
    except ValueError as error:
        raise Unfit(f"card.toml: linear_model: {error}") from None
    close(
        penalty.detach().expand(B),
        torch.from_numpy(stated.copy()),
        1e-6,
        1e-9,
        "on a linear model it is not what the card's closed form says",
    )


Demand = Callable[[Subject], None]
DEMANDS: dict[str, Demand] = {  # asked of every variant
    "the penalty is finite, one value an example or a scalar": penalty_has_one_value_an_example,
    "it changes what is trained, with a finite gradient": changes_what_is_trained,
    "the batch's order does not matter": order_does_not_matter,
    "the same step gives the same values and leaves everything as it was": leaves_everything_as_it_was,
    "unusual batches do no harm": unusual_batches_do_no_harm,
    "a model whose every derivative vanishes does no harm": a_flat_model_does_no_harm,
    "it maps over stacked models": maps_over_stacked_models,
}
DEMANDS_OF_THE_CARD: dict[str, Demand] = {  # asked of the method as its card has it
    "the card names the code's params with their defaults": names_its_params,
    "λ = 0 trains bit for bit as the control does": lambda_zero_is_the_control,
    "a positive λ trains to other weights": a_positive_lambda_trains_otherwise,
    "on a linear model it is what the card's closed form says": agrees_with_its_closed_form,
    "it works on every light network that it allows": works_on_every_light_network,
}
