"""What each kind of part of an evaluation finds: values per example, and scores of the whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from registry.spec import Threat

from ..attacks import attack, attack_curve, misclassified
from ..attacks.perturbation import size
from ..records.flags import check_warnings
from .columns import MEASURES, further_measures
from .examples import example_measures
from .found import Found
from .honesty import check_model
from .union import square_helped, union

BATCH = 512


def clean(model: nn.Module, x: Tensor, y: Tensor, seed: int) -> Found:
    """Accuracy, of which no finite answer is a wrong one, and loss. The labels are kept beside
    them, so that a reader without the data can compare classes.
    """
    with torch.no_grad():
        logits = torch.cat([model(chunk) for chunk in x.split(BATCH)])
    losses = F.cross_entropy(logits, y, reduction="none")
    correct = ~misclassified(logits, y)
    columns = {"correct": correct, "loss": losses, "label": y}
    return Found(columns, {"accuracy": correct.double().mean(), "loss": losses.double().mean()})


def honesty(model: nn.Module, x: Tensor, y: Tensor, seed: int) -> Found:
    """Whether attacks on the model can be believed: scores of `honesty.check_model`."""
    return Found({}, check_model(model, x, y, seed=seed))


def measures(model: nn.Module, x: Tensor, y: Tensor, seed: int) -> Found:
    """The measures of every track, a value an image, and their means and medians."""
    columns = example_measures(model, x, y)
    return Found(columns, _summaries(columns))


def further(name: str, model: nn.Module, x: Tensor, y: Tensor, seed: int) -> Found:
    """A measure that a track asks for by name, with its spread beside mean and median."""
    columns = further_measures(name, model, x, y, seed=seed)
    metrics: dict[str, Tensor] = {}
    for column, values in columns.items():
        metrics |= dict(_summary(column, values))
        metrics[f"{column}:std"] = _spread(values)
    return Found(columns, metrics)


# Of every part that is neither threat nor certificate: its name → what finds it.
FINDERS: dict[str, Callable[[nn.Module, Tensor, Tensor, int], Found]] = {
    "clean": clean,
    "honesty": honesty,
    "measures": measures,
    **{name: partial(further, name) for name in MEASURES},
}


def threats(
    curve: Sequence[Threat],
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    seed: int,
    checkpoint: Path | None,
) -> list[Found]:
    """Of each threat of a curve, or of a single one; only the latter uses the checkpoint."""
    first, purpose = curve[0], purpose_of(curve[0], seed)
    if first.attack == "union":
        found = union(first, model, x, y, purpose, checkpoint)
        return [robustness(found.success, found.info)]
    if len(curve) > 1:
        points = attack_curve(curve, model, x, y, seed=purpose, batch_size=BATCH)
        return [robustness(point.success) for point in points]
    found = attack(first, model, x, y, seed=purpose, batch_size=BATCH, checkpoint=checkpoint)
    if first.is_minimal:
        return [nearest(first, x, found.success, found.distance)]
    return [robustness(found.success, found.info)]


def purpose_of(threat: Threat, seed: int) -> int:
    """The seed of the attack's own chance. Without ε: a point of a curve has the same random starts
    alone and beside others.
    """
    text = f"{seed}/{threat.family.id}"
    return int(hashlib.sha256(text.encode()).hexdigest()[:7], 16)


def robustness(success: Tensor, info: Mapping[str, Any] | None = None) -> Found:
    """Accuracy under a threat with ε; for AutoAttack, which says more, also what stood after each
    member, and its warnings.
    """
    info = info or {}
    metrics: dict[str, Tensor | float] = {"robust_accuracy": (~success).double().mean()}
    for member, share in info.get("robust", {}).items():
        metrics[f"robust_accuracy:{member}"] = share
    attacked = info.get("attacked", len(success))  # AutoAttack's batches are of these alone
    warnings = check_warnings(info.get("warnings", {}), min(BATCH, attacked))
    helped = square_helped(info.get("robust", {}))
    if helped > warnings.get("autoattack_square_helped", 0):
        warnings["autoattack_square_helped"] = helped
    return Found({"correct": ~success}, metrics | warnings)


def nearest(threat: Threat, x: Tensor, success: Tensor, distance: Tensor) -> Found:
    """How far a minimal attack had to move each image: in input units, and as a share of the
    image's own norm.
    """
    columns = {"distance": distance, "relative_distance": distance / size(x, threat.norm)}
    return Found(columns, {"success": success.double().mean()} | _summaries(columns))


def _summaries(columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for column, values in columns.items():
        found |= dict(_summary(column, values))
    return found


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


def _spread(values: Tensor) -> Tensor:
    """Standard deviation of the finite values."""
    finite = values[values.isfinite()].double()
    return finite.std(correction=0) if len(finite) else values.new_tensor(float("nan"))
