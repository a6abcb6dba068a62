"""What is asked once of a regularizer, as its card has it: one function a demand, named by the
sentence in DEMANDS_OF_THE_CARD.
"""

from __future__ import annotations

from dataclasses import fields

import torch
from torch import Tensor, nn

from registry.load import Registry
from registry.spec import Card, Recipe

from ..data.splits import Split
from ..training import networks
from ..training.loop import Phase, train
from . import closed_form
from .demands import Demand
from .specimen import (
    CLASSES,
    SIDE,
    B,
    Subject,
    batch,
    gradients,
    losses_and_penalty,
    plain,
    step_of,
)
from .unfit import Unfit, close, require, require_finite

# Networks of which a step on a blank digit costs much.
HEAVY = ("wrn", "vgg", "cnn7", "resnet_110", "resnet_56", "preact")


def names_its_params(subject: Subject) -> None:
    """A card tells what the code can be asked: the same fields and defaults, a sentence each."""
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
    """All methods share one control, so that λ = 0 must train to its weights to the last bit."""
    control, other = trained(None, subject, 0.0), trained(subject, subject, 0.0)
    require(
        all(torch.equal(other[key], value) for key, value in control.items()),
        "λ = 0 trains otherwise than the control",
    )


def a_positive_lambda_trains_otherwise(subject: Subject) -> None:
    """A method that trains as the control does at the largest λ of its grid does nothing."""
    if subject.is_control:
        return
    control, other = trained(None, subject, 0.0), trained(subject, subject, subject.card.grid[-1])
    require(
        not all(torch.equal(other[key], value) for key, value in control.items()),
        f"λ = {subject.card.grid[-1]:g}, the largest of its grid, trains as λ = 0 does",
    )


def allowed_networks(card: Card) -> list[str]:
    """The registered networks of which a step on a blank digit costs little, with an activation
    that the method allows.
    """
    known = Registry().architectures
    light = [name for name in known if not name.startswith(HEAVY)]
    if not card.smooth_activation:
        return light
    return [
        name if known[name].activation == "swish" else f"{name}:activation=swish"
        for name in light
        if known[name].activation is not None
    ]


def works_on_every_light_network(subject: Subject) -> None:
    """A track may have any network that the card allows, with pooling, BatchNorm or branches."""
    x, y = batch(2, classes=10, dtype=torch.float32)
    registry = Registry()
    dataset = registry.dataset("digits")
    for network in allowed_networks(subject.card):
        model = networks.create(registry.architecture(network), dataset, seed=0).eval()
        losses, penalty = losses_and_penalty(subject.load(), step_of(subject, model, x, y))
        found = gradients(losses.mean() + penalty.mean(), model)
        require_finite(found, f"the penalty's gradient is not finite on {network}")


def agrees_with_its_closed_form(subject: Subject) -> None:
    """On z = Wx + b a penalty can be written down: what the card states the code must give."""
    if subject.card.linear_model is None:
        return
    x, y = batch()
    model = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, CLASSES)).double()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(generator=generator)
    regularizer = subject.load()
    _, penalty = losses_and_penalty(regularizer, step_of(subject, model, x, y))
    W, b = (p.detach().numpy() for p in model.parameters())
    try:
        stated = closed_form.evaluate(
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


DEMANDS_OF_THE_CARD: dict[str, Demand] = {  # asked of the method as its card has it
    "the card names the code's params with their defaults": names_its_params,
    "λ = 0 trains bit for bit as the control does": lambda_zero_is_the_control,
    "a positive λ trains to other weights": a_positive_lambda_trains_otherwise,
    "on a linear model it is what the card's closed form says": agrees_with_its_closed_form,
    "it works on every light network that it allows": works_on_every_light_network,
}
