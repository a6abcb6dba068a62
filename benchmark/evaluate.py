"""A trained model under a track's evaluation: accuracy, threats and measures, one part at a time."""
from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from registry.spec import Part, Threat

from .attacks import attack
from .data import Data, Split
from .measures import example_measures, layer_measures
from .outcome import Examples, Layer, Score

BATCH = 512


def evaluate(model: nn.Module, data: Data, parts: Iterable[Part], *, seed: int
             ) -> Iterator[tuple[list[Score], list[Examples]]]:
    """Yields the rows of each of `parts` in turn.

    Args:
        model: in evaluation mode, on the data's device.
    """
    for part in parts:
        split: Split = getattr(data, part.split)
        x = split.pixels(torch.arange(min(part.examples, len(split.labels))))
        y = split.labels[: len(x)]
        if part.threat is not None:
            columns, metrics = _threat(part.threat, model, x, y, seed)
        elif part.name == "clean":
            columns, metrics = _clean(model, x, y)
        else:
            columns = example_measures(model, x, y)
            metrics = {metric: value for column, values in columns.items() for metric, value in _summary(column, values)}
        common = {"threat": part.name, "split": part.split, "examples": part.examples}
        yield ([Score(metric=metric, value=float(value), n=len(x), **common) for metric, value in metrics.items()],
               [Examples(metric=metric, values=tuple(values.float().tolist()), **common)
                for metric, values in columns.items()])


def _clean(model: nn.Module, x: Tensor, y: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    with torch.no_grad():
        logits = torch.cat([model(chunk) for chunk in x.split(BATCH)])
    losses = F.cross_entropy(logits, y, reduction="none")
    correct = logits.argmax(1) == y
    return {"correct": correct, "loss": losses}, {"accuracy": correct.double().mean(), "loss": losses.double().mean()}


def _threat(threat: Threat, model: nn.Module, x: Tensor, y: Tensor, seed: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    purpose = int(hashlib.sha256(f"{seed}/{threat.id}".encode()).hexdigest()[:7], 16)
    found = attack(threat, model, x, y, seed=purpose, batch_size=BATCH)
    robust = ~found.success
    if threat.epsilon is not None:
        return {"correct": robust}, {"robust_accuracy": robust.double().mean()}
    relative = found.distance / x.flatten(1).norm(dim=1)
    metrics = {"success": found.success.double().mean()}
    columns = {"distance": found.distance, "relative_distance": relative}
    return columns, metrics | {name: value for column, values in columns.items() for name, value in _summary(column, values)}


def _summary(column: str, values: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Mean and median of the finite values, and the share of them: flat points make some measures infinite."""
    values = values.double()
    finite = values[values.isfinite()]
    nothing = values.new_tensor(float("nan"))
    yield column, finite.mean() if len(finite) else nothing
    yield f"{column}:median", finite.median() if len(finite) else nothing
    yield f"{column}:finite", values.isfinite().double().mean()


def layers(model: nn.Module, image: Tensor) -> list[Layer]:
    """Per-layer singular values as rows; `image` [1, C, H, W] tells the convolutions' sizes."""
    return [Layer(layer=row["name"], kind=row["kind"], metric=metric, value=row[metric])
            for row in layer_measures(model, image) for metric in ("sigma_max", "sigma_min", "sigma_std")]
