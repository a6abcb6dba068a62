"""A first look at a regularizer, without files or database."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

import pandas as pd
from torch import Tensor

from registry.load import Registry
from registry.spec import Architecture, Dataset, InputError, Track

from .. import data
from ..evaluation import evaluate as evaluation
from ..records.home import home
from ..regularizer import Regularizer, Step, regularizer
from ..training import networks
from ..training.loop import Phase, train
from .scores import table

Method = Regularizer | type[Regularizer] | Callable[[Step], Tensor]


def try_regularizer(
    method: Method,
    strengths: Sequence[float] = (0.01, 0.1, 1.0),
    *,
    track: str = "quickstart",
    architecture: str | None = None,
    seeds: int = 1,
) -> pd.DataFrame:
    """Trains a method at some λ under a track's recipe, in this process, and measures it beside the
    control.

    Args:
        method: a Regularizer, a class of one, or a function from a Step to its penalty, [B] or a
            scalar.
        strengths: values of λ; 0, the control, is added.
    Returns:
        One row for each λ: diverged (how many seeds), clean accuracy and every threat's score on
        test images (accuracy, or mean ‖r‖/‖x‖ for an attack without ε), means over the seeds that
        did not diverge.
    Raises:
        InputError: the track or the architecture is unknown, the method is none, or there are no
            seeds.
    """
    if seeds < 1:
        raise InputError(f"try_regularizer: seeds must be at least 1, not {seeds}")
    registry = Registry()
    chosen = registry.track(track)
    if architecture is not None and architecture not in chosen.architectures:
        raise InputError(
            f"try_regularizer: architecture {architecture!r} is none of "
            f"{', '.join(chosen.architectures)}"
        )
    network = registry.architecture(architecture or chosen.architectures[0])
    dataset, plugin = registry.dataset(chosen.dataset), _plugin(method)
    rows = [
        _trained(plugin, float(strength), chosen, network, dataset, seed)
        for strength in dict.fromkeys((0.0, *strengths))
        for seed in range(seeds)
    ]
    over_seeds = {name: "mean" for name in rows[0] if name != "lambda"} | {"diverged": "sum"}
    return pd.DataFrame(rows).groupby("lambda", sort=False).agg(over_seeds).reset_index()


def _plugin(method: Method) -> Regularizer:
    if isinstance(method, Regularizer):
        return method
    if inspect.isclass(method) and issubclass(method, Regularizer):
        return method()
    if callable(method) and not inspect.isclass(method):
        return regularizer(method)()
    raise InputError(f"try_regularizer: {method!r} is no Regularizer and no function of a step")


def _trained(
    plugin: Regularizer,
    strength: float,
    track: Track,
    network: Architecture,
    dataset: Dataset,
    seed: int,
) -> dict[str, float]:
    """A row of `try_regularizer`, of one seed."""
    recipe = track.recipes[network.name]
    images = data.load(dataset, home(), train_size=recipe.train_size)
    model = networks.placed(networks.create(network, dataset, seed=seed), "cpu")
    names = [name for name in ("reference", "fine_tune") if getattr(recipe, f"has_{name}")]
    *before, last = [Phase.of(recipe, name, len(images.train)) for name in names]
    for phase in before:
        train(model, images.train, phase, seed=seed)
    training = train(model, images.train, last, seed=seed, regularizer=plugin, strength=strength)
    wanted = ["clean", *(threat.id for threat in track.threats)]
    row = {"lambda": strength, "diverged": float(training.status == "diverged")}
    row |= dict.fromkeys(wanted, float("nan"))
    if training.status == "finished":
        parts = [part for part in track.evaluation if part.split == "test" and part.name in wanted]
        scores = table(evaluation.evaluate(model, images, parts, seed=seed))
        shown = scores[scores["metric"].isin(["accuracy", "robust_accuracy", "relative_distance"])]
        row |= dict(zip(shown["threat"], shown["value"]))
    return row
