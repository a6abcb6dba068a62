"""Any model's scores: under a track's threats, or under AutoAttack alone."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from registry.load import Registry
from registry.read import nearest
from registry.spec import Dataset, InputError, Norm, Part, Threat

from .. import data
from ..evaluation import evaluate as evaluation
from ..records.flags import CHECKS
from ..records.home import home
from ..step import evaluation_mode
from ..training import networks
from .arguments import number, whole_number

NORMS: dict[str, Norm] = {"Linf": "inf", "L2": "2"}
Normalisation = tuple[Sequence[float], Sequence[float]]  # mean and std, one of each a channel


def evaluate(
    model: nn.Module | str | Path,
    track: str,
    *,
    architecture: str | None = None,
    normalise: Normalisation | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Scores of a model under everything that a track measures: the same code that makes the
    leaderboard's rows.

    Args:
        model: images [B, C, H, W] in [0, 1] → logits [B, K], on any device; or the path of a
            safetensors file as `regbench run` writes it.
        track: its name.
        architecture: of the file, and whose recipe says how many training images there are; the
            track's first where it is left out.
        normalise: mean and std of a model that takes (x − mean) / std, as timm's do.
        seed: of the attacks' random starts.
    Returns:
        One row a score: threat, split, metric, value, n, flags. The last is table["flags"]:
        table.flags is pandas' own.
    Raises:
        InputError: the track is unknown, the file does not fit, the model is no module or does not
            give K logits, or normalise or seed cannot be used.
    """
    registry = Registry()
    chosen = registry.track(track)
    dataset = registry.dataset(chosen.dataset)
    seed = whole_number("evaluate: seed", seed, 0)
    name = architecture or chosen.architectures[0]
    if isinstance(model, str | Path):
        model = networks.load(registry.architecture(name), dataset, Path(model))
    recipe = chosen.recipes.get(name, chosen.recipe)
    return _evaluated(model, dataset, chosen.evaluation, normalise, seed, recipe.train_size)


def benchmark(
    model: nn.Module,
    dataset: str,
    threat: str = "Linf",
    *,
    eps: float,
    n_examples: int | None = None,
    normalise: Normalisation | None = None,
    seed: int = 0,
) -> tuple[float, float]:
    """Clean accuracy, and accuracy under AutoAttack, on a data set's first test images.

    Warns of what makes the latter doubtful: of each flag that `evaluate` would show.

    Args:
        model: as for `evaluate`.
        dataset: its id, `cifar10`, or `mnist:1,7` for two of its classes.
        threat: "Linf" or "L2".
        eps: the radius, in units of [0, 1] pixels.
        n_examples: all that there are where it is left out.
        normalise, seed: as for `evaluate`.
    Raises:
        InputError: an unknown data set or threat, an eps or a number of images that is not
            positive, or a model, a normalise or a seed as `evaluate` refuses it.
    """
    if threat not in NORMS:
        raise InputError(f"benchmark: threat {nearest(threat, NORMS, 'known')}")
    epsilon = number(eps)
    if not 0 < epsilon < math.inf:
        raise InputError(f"benchmark: eps must be a positive number, not {eps!r}")
    seed = whole_number("benchmark: seed", seed, 0)
    described = Registry().dataset(dataset)
    n = described.test_size
    if n_examples is not None:
        n = whole_number("benchmark: n_examples", n_examples, 1)
    attack = Threat(attack="autoattack", norm=NORMS[threat], epsilon=epsilon)
    parts = [
        Part(name="clean", split="test", examples=n),
        Part(name=attack.id, split="test", examples=n, threat=attack),
    ]
    scores = _evaluated(model, described, parts, normalise, seed).set_index(["threat", "metric"])
    for value, flags in zip(scores["value"], scores["flags"]):
        for flag in flags:
            warnings.warn(f"benchmark: {CHECKS[flag].tell(value)}", stacklevel=2)
    clean, robust = ("clean", "accuracy"), (attack.id, "robust_accuracy")
    return float(scores["value"][clean]), float(scores["value"][robust])


def _evaluated(
    model: object,
    dataset: Dataset,
    parts: Sequence[Part],
    normalise: Normalisation | None,
    seed: int,
    train_size: int | None = None,
) -> pd.DataFrame:
    """The scores of a model, which is left in its mode, on the device that it is on. Raises
    InputError where it is no module.
    """
    if not isinstance(model, nn.Module):
        raise InputError(
            f"model: must be an nn.Module, not a {type(model).__name__}; make a function the "
            "forward of one"
        )
    weights = next(model.parameters(), None)
    device = "cpu" if weights is None else weights.device
    images = data.load(dataset, home(), train_size=train_size, device=device)
    if normalise is not None:
        model = _normalising(model, dataset, normalise).to(device)
    with evaluation_mode(model):
        _check_fits(model, dataset, images.test.pixels(slice(2)))
        return table(evaluation.evaluate(model, images, parts, seed=seed))


def _normalising(model: nn.Module, dataset: Dataset, normalise: Normalisation) -> nn.Module:
    channels = dataset.shape[0]
    try:
        mean, std = (tuple(map(number, values)) for values in normalise)
    except (TypeError, ValueError):  # not two, or not of several numbers each
        mean, std = (), ()
    fits = len(mean) == len(std) == channels and all(map(math.isfinite, mean + std))
    if not fits or min(std) <= 0:
        raise InputError(
            f"normalise: {dataset.id} has {channels} channels; give a mean and a positive std for "
            "each"
        )
    return nn.Sequential(networks.Normalize(mean, std), model)


def _check_fits(model: nn.Module, dataset: Dataset, x: Tensor) -> None:
    """Raises InputError where the model does not take the images, or does not give K logits."""
    wanted = f"[{len(x)}, {dataset.num_classes}] logits, one for each class"
    try:
        with torch.no_grad():
            logits = model(x)
    except Exception as error:  # a model may raise anything
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise InputError(
            f"the model does not take images {list(x.shape)} of {dataset.id} ({reason})"
        ) from error
    if not isinstance(logits, Tensor) or logits.shape != (len(x), dataset.num_classes):
        what = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError(
            f"the model gives {what} for {len(x)} images of {dataset.id}, not {wanted}"
        )


def table(parts: Iterable[tuple[Part, evaluation.Evaluated]]) -> pd.DataFrame:
    """A row a score."""
    rows = [
        score.model_dump(include={"threat", "split", "metric", "value", "n", "flags"})
        for _, found in parts
        for score in found.scores
    ]
    return pd.DataFrame(rows)
