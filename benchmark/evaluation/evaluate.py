"""A trained model under a track's evaluation: accuracy, threats, honesty and measures, one part at
a time.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from registry.spec import Part, Threat

from ..attacks import attack, attack_curve, without_epsilon
from ..attacks.stacked import attack_stacked, fusable
from ..data.splits import Data, Split
from ..measures import example_measures, layer_measures
from ..records.flags import CHECKS, check_warnings, flags_of
from ..records.outcome import Examples, Layer, Row, Score
from .columns import MEASURES, further_measures
from .honesty import check_model

BATCH = 512
Columns = dict[str, Tensor]  # name → [N]
Metrics = Mapping[str, Tensor | float]


class Evaluated(Row):
    """The rows of one part, and the seconds they took."""

    scores: tuple[Score, ...]
    examples: tuple[Examples, ...]
    seconds: float


def evaluate(
    model: nn.Module,
    data: Data,
    parts: Iterable[Part],
    *,
    seed: int,
    checkpoints: Path | None = None,
) -> Iterator[tuple[Part, Evaluated]]:
    """Yields the rows of each of `parts` in turn; points of one curve of accuracy against ε are
    found in one pass.

    Args:
        model: in evaluation mode, on the data's device.
        checkpoints: a folder in which a long attack keeps what it has done so far.
    """
    for group in _passes(parts):
        start, part = time.perf_counter(), group[0]
        x, y = _images(data, part)
        if part.threat is not None:
            checkpoint = (
                None if checkpoints is None else checkpoints / f"{file_name(part)}.safetensors"
            )
            found = _threats([p.threat for p in group if p.threat], model, x, y, seed, checkpoint)
        elif part.name == "clean":
            found = [_clean(model, x, y)]
        elif part.name == "honesty":
            found = [({}, check_model(model, x, y, seed=seed))]
        elif part.name in MEASURES:
            columns = further_measures(part.name, model, x, y, seed=seed)
            found = [
                (
                    columns,
                    {
                        metric: value
                        for column, values in columns.items()
                        for metric, value in (*_summary(column, values), *_spread(column, values))
                    },
                )
            ]
        else:
            columns = example_measures(model, x, y)
            found = [
                (
                    columns,
                    {
                        metric: value
                        for column, values in columns.items()
                        for metric, value in _summary(column, values)
                    },
                )
            ]
        seconds = (time.perf_counter() - start) / len(group)
        for part, (columns, metrics) in zip(group, found, strict=True):
            yield part, _rows(part, len(x), columns, metrics, seconds)


def evaluate_together(
    models: Sequence[nn.Module], data: Data, parts: Iterable[Part], *, seeds: Sequence[int]
) -> Iterator[tuple[Part, list[Evaluated]]]:
    """Yields, of those of `parts` that can be found for all models in one pass, the rows of each
    model.

    Args:
        models: M of one architecture, in evaluation mode, on the data's device.
        seeds: [M], of their trials.
    """
    for group in _passes(parts):
        threats = [part.threat for part in group if part.threat is not None]
        if not threats or not fusable(threats[0]):
            continue
        start, (x, y) = time.perf_counter(), _images(data, group[0])
        found = attack_stacked(
            threats,
            models,
            x,
            y,
            seeds=[_purpose(threats[0], seed) for seed in seeds],
            batch_size=BATCH,
        )
        found = [
            fallen.cpu() for fallen in found
        ]  # waits for the device, so that the time is its own
        seconds = (time.perf_counter() - start) / (len(group) * len(models))
        for part, fallen in zip(group, found, strict=True):
            yield part, [_rows(part, len(x), *_robustness(success), seconds) for success in fallen]


def _passes(parts: Iterable[Part]) -> list[list[Part]]:
    """Points of one curve of accuracy against ε together, every other part by itself."""
    passes: dict[object, list[Part]] = {}
    for part in parts:
        curve = part.threat is not None and part.threat.attack in ("fgsm", "pgd")
        like = without_epsilon(part.threat) if curve and part.threat else part.name
        passes.setdefault((like, part.split, part.examples), []).append(part)
    return list(passes.values())


def _images(data: Data, part: Part) -> tuple[Tensor, Tensor]:
    split: Split = getattr(data, part.split)
    x = split.pixels(torch.arange(min(part.examples, len(split.labels))))
    return x, split.labels[: len(x)]


def file_name(part: Part) -> str:
    """Of a part's checkpoint, without an ending."""
    return f"{part.name}_{part.split}_{part.examples}"


def _rows(part: Part, n: int, columns: Columns, metrics: Metrics, seconds: float) -> Evaluated:
    common = {"threat": part.name, "split": part.split, "examples": part.examples}
    values = {metric: float(value) for metric, value in metrics.items()}
    return Evaluated(
        scores=tuple(
            Score(
                metric=metric,
                value=value,
                n=n,
                flags=flags_of(metric, value) if metric in CHECKS else (),
                **common,
            )
            for metric, value in values.items()
        ),
        examples=tuple(
            Examples(metric=metric, values=tuple(column.float().tolist()), **common)
            for metric, column in columns.items()
        ),
        seconds=seconds,
    )


def _clean(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Columns, Metrics]:
    """Accuracy and loss. The labels are kept beside them, so that a reader without the data can
    compare classes.
    """
    with torch.no_grad():
        logits = torch.cat([model(chunk) for chunk in x.split(BATCH)])
    losses = F.cross_entropy(logits, y, reduction="none")
    correct = logits.argmax(1) == y
    columns = {"correct": correct, "loss": losses, "label": y}
    return columns, {"accuracy": correct.double().mean(), "loss": losses.double().mean()}


def _threats(
    threats: list[Threat],
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    seed: int,
    checkpoint: Path | None,
) -> list[tuple[Columns, Metrics]]:
    common = {"seed": _purpose(threats[0], seed), "batch_size": BATCH}
    if len(threats) > 1:
        return [
            _robustness(found.success) for found in attack_curve(threats, model, x, y, **common)
        ]
    threat, found = threats[0], attack(threats[0], model, x, y, checkpoint=checkpoint, **common)
    if threat.epsilon is not None:
        return [_robustness(found.success, found.info)]
    relative = found.distance / x.flatten(1).norm(dim=1)
    metrics: dict[str, Tensor | float] = {"success": found.success.double().mean()}
    columns = {"distance": found.distance, "relative_distance": relative}
    return [
        (
            columns,
            metrics
            | {
                name: value
                for column, values in columns.items()
                for name, value in _summary(column, values)
            },
        )
    ]


def _purpose(threat: Threat, seed: int) -> int:
    """The seed of the attack's own chance. Without ε: a point of a curve has the same random starts
    alone and beside others.
    """
    return int(hashlib.sha256(f"{seed}/{without_epsilon(threat).id}".encode()).hexdigest()[:7], 16)


def _robustness(success: Tensor, info: Mapping[str, Any] | None = None) -> tuple[Columns, Metrics]:
    """Accuracy under a threat with ε; for AutoAttack, which says more, also what stood after each
    member, and its warnings.
    """
    info = info or {}
    metrics: dict[str, Tensor | float] = {"robust_accuracy": (~success).double().mean()}
    metrics |= {
        f"robust_accuracy:{member}": share for member, share in info.get("robust", {}).items()
    }
    return {"correct": ~success}, metrics | check_warnings(
        info.get("warnings", {}), min(BATCH, len(success))
    )


def _summary(column: str, values: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Mean and median of the finite values, and the share of them: flat points make some measures
    infinite.
    """
    values = values.double()
    finite = values[values.isfinite()]
    nothing = values.new_tensor(float("nan"))
    yield column, finite.mean() if len(finite) else nothing
    yield f"{column}:median", finite.median() if len(finite) else nothing
    yield f"{column}:finite", values.isfinite().double().mean()


def _spread(column: str, values: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Standard deviation of the finite values."""
    values = values[values.isfinite()].double()
    yield (
        f"{column}:std",
        values.std(correction=0) if len(values) else values.new_tensor(float("nan")),
    )


def layers(model: nn.Module, image: Tensor) -> list[Layer]:
    """Per-layer singular values as rows; `image` [1, C, H, W] tells the convolutions' sizes."""
    return [
        Layer(layer=row["name"], kind=row["kind"], metric=metric, value=row[metric])
        for row in layer_measures(model, image)
        for metric in ("sigma_max", "sigma_min", "sigma_std")
    ]
