"""A first look at a regularizer, without files or database."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
from torch import Tensor, nn

from registry.load import Registry
from registry.spec import Architecture, Dataset, InputError, Recipe, Track

from .. import data
from ..evaluation import evaluate as evaluation
from ..records.home import home
from ..regularizer import Regularizer, Step, regularizer
from ..training import networks
from ..training.loop import Phase, train
from .arguments import number, whole_number
from .scores import table

Method = Regularizer | type[Regularizer] | Callable[[Step], Tensor]
SHOWN = ("accuracy", "robust_accuracy", "relative_distance")  # one of each threat's metrics


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
        strengths: values of λ, finite and not negative; 0, the control, is added.
    Returns:
        One row for each λ: diverged (how many seeds), clean accuracy and every threat's score on
        test images (accuracy, or mean ‖r‖/‖x‖ for an attack without ε), means over the seeds that
        did not diverge.
    Raises:
        InputError: the track or the architecture is unknown, the method is none or its penalty of
            another shape, a λ is none, or there are no seeds.
    """
    seeds = whole_number("try_regularizer: seeds", seeds, 1)
    plugin, lambdas = _Shaped(_plugin(method)), _lambdas(strengths)
    registry = Registry()
    chosen = registry.track(track)
    if architecture is not None and architecture not in chosen.architectures:
        raise InputError(
            f"try_regularizer: architecture {architecture!r} is none of "
            f"{', '.join(chosen.architectures)}"
        )
    name = architecture or chosen.architectures[0]
    recipe, network = chosen.recipes[name], registry.architecture(name)
    dataset = registry.dataset(chosen.dataset)
    rows = [
        row
        for seed in range(seeds)
        for row in _of_one_seed(plugin, lambdas, chosen, recipe, network, dataset, seed)
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


def _lambdas(strengths: object) -> tuple[float, ...]:
    """The control's 0 and the values given, each once. Raises InputError where they are no list, or
    one is not finite or negative.
    """
    if not isinstance(strengths, Iterable):
        raise InputError(f"try_regularizer: strengths must be a list of λ, not {strengths!r}")
    given = list(strengths)
    for strength in given:
        if not 0 <= number(strength) < math.inf:
            raise InputError(
                f"try_regularizer: λ must be a finite number of at least 0, not {strength!r}"
            )
    return tuple(dict.fromkeys((0.0, *map(number, given))))


@dataclass(frozen=True)
class _Shaped(Regularizer):
    """A method whose penalty is refused where it is neither one value nor one an example."""

    method: Regularizer

    def training_input(self, step: Step) -> Tensor:
        return self.method.training_input(step)

    def penalty(self, step: Step) -> Tensor:
        found, B = self.method.penalty(step), len(step.x)
        shape = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
        if shape not in ([], [B]):
            raise InputError(
                f"try_regularizer: a penalty of {B} images must be a tensor of shape [{B}] or [], "
                f"not {shape}"
            )
        return found

    def after_epoch(self, model: nn.Module, strength: float) -> None:
        self.method.after_epoch(model, strength)


def _of_one_seed(
    plugin: Regularizer,
    strengths: Sequence[float],
    track: Track,
    recipe: Recipe,
    network: Architecture,
    dataset: Dataset,
    seed: int,
) -> Iterator[dict[str, float]]:
    """A row of `try_regularizer` for each λ, all fine-tuned from one reference."""
    images = data.load(dataset, home(), train_size=recipe.train_size)
    reference = networks.placed(networks.create(network, dataset, seed=seed), "cpu")
    names = [name for name in ("reference", "fine_tune") if getattr(recipe, f"has_{name}")]
    *before, last = [Phase.of(recipe, name, len(images.train)) for name in names]
    for phase in before:
        train(reference, images.train, phase, seed=seed)
    wanted = ["clean", *(threat.id for threat in track.threats)]
    parts = [part for part in track.evaluation if part.split == "test" and part.name in wanted]
    for strength in strengths:
        model = copy.deepcopy(reference)
        found = train(model, images.train, last, seed=seed, regularizer=plugin, strength=strength)
        row = {"lambda": strength, "diverged": float(found.status == "diverged")}
        row |= dict.fromkeys(wanted, float("nan"))
        if found.status == "finished":
            scores = table(evaluation.evaluate(model, images, parts, seed=seed))
            shown = scores[scores["metric"].isin(SHOWN)]
            row |= dict(zip(shown["threat"], shown["value"]))
        yield row
