"""For notebooks: a model's scores under a track's threats, and a first look at a regularizer,
without files or database.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from registry import select
from registry.load import Registry
from registry.spec import Architecture, Dataset, InputError, Part, Track, Unavailable

from . import data
from .evaluation import evaluate as evaluation
from .records.home import TrialFolder, home
from .records.weights import weights_store
from .regularizer import Regularizer, Step, regularizer
from .step import evaluation_mode
from .training import networks
from .training.loop import Phase, train

Method = Regularizer | type[Regularizer] | Callable[[Step], Tensor]


def evaluate(
    model: nn.Module | str | Path, track: str, *, architecture: str | None = None, seed: int = 0
) -> pd.DataFrame:
    """Scores of a model under everything that a track measures: the same code that makes the
    leaderboard's rows.

    Args:
        model: images [B, C, H, W] in [0, 1] → logits [B, K], on any device; or the path of a
            safetensors file as `regbench run` writes it.
        track: its name.
        architecture: of the file; the track's first where it is left out.
        seed: of the attacks' random starts.
    Returns:
        One row a score: threat, split, metric, value, n, flags.
    Raises:
        InputError: the track is unknown, the file does not fit, or the model does not give K finite
            logits.
    """
    registry = Registry()
    chosen = registry.track(track)
    dataset = registry.dataset(chosen.dataset)
    if not isinstance(model, nn.Module):
        model = networks.load(
            registry.architecture(architecture or chosen.architectures[0]), dataset, Path(model)
        )
    weights = next(model.parameters(), None)
    images = data.load(
        dataset,
        home(),
        train_size=chosen.recipe.train_size,
        device="cpu" if weights is None else weights.device,
    )
    with evaluation_mode(model):
        _check_fits(model, dataset, images.test.pixels(slice(2)))
        return _table(evaluation.evaluate(model, images, chosen.evaluation, seed=seed))


def load_model(entry: str, seed: int = 0) -> nn.Module:
    """The trained model of an entry, in evaluation mode on the CPU: images [B, C, H, W] in [0, 1] →
    logits [B, K].

    Its weights are read from `$REGBENCH_HOME`, or else pulled there from `$REGBENCH_WEIGHTS`.

    Args:
        entry: its id, `digits/lenet_300_100/jacobian/0.1`, in which a track's name may stand for
            the data set: `quickstart/lenet_300_100/jacobian/0.1`.
    Raises:
        InputError: no such entry, several that are trained differently, or no such weights.
    """
    trial = select.trial(Registry(), entry, seed)
    folder = TrialFolder(home(), trial.key)
    if not folder.is_trained:
        store = weights_store()
        if store.pull(trial, home()) == "missing":
            raise Unavailable(f"{store.url}: lacks {trial.label}; `regbench run` trains it")
    return networks.load(trial.architecture, trial.dataset, folder.weights).eval()


def _check_fits(model: nn.Module, dataset: Dataset, x: Tensor) -> None:
    with torch.no_grad():
        logits = model(x)
    if not isinstance(logits, Tensor) or logits.shape != (len(x), dataset.num_classes):
        what = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError(
            f"evaluate: the model gives {what} for {len(x)} images of {dataset.id}, not "
            f"[{len(x)}, {dataset.num_classes}] logits"
        )


def _table(parts: Iterable[tuple[Part, evaluation.Evaluated]]) -> pd.DataFrame:
    rows = [
        score.model_dump(include={"threat", "split", "metric", "value", "n", "flags"})
        for _, found in parts
        for score in found.scores
    ]
    return pd.DataFrame(rows)


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
        InputError: the track or the architecture is unknown, or the method is none.
    """
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
        scores = _table(evaluation.evaluate(model, images, parts, seed=seed))
        shown = scores[scores["metric"].isin(["accuracy", "robust_accuracy", "relative_distance"])]
        row |= dict(zip(shown["threat"], shown["value"]))
    return row
