"""A trained model under a track's evaluation: accuracy, threats, honesty and measures, one part at
a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from registry.spec import Part

from ..attacks.stacked import attack_stacked, fusable
from ..data.splits import Data, Split
from ..measures.spectra import layer_measures
from ..records.flags import CHECKS, flags_of
from ..records.outcome import Examples, Layer, Row, Score
from .certificates import certificates
from .found import Found
from .parts import BATCH, FINDERS, nearest, purpose_of, robustness, threats
from .transfer import transfer


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
    checkpoint: Callable[[Part], Path] | None = None,
    sources: Callable[[Part], Mapping[str, nn.Module]] = lambda part: {},
) -> Iterator[tuple[Part, Evaluated]]:
    """Yields the rows of each of `parts` in turn; points of one curve of accuracy against ε are
    found in one pass, and so are certificates in one norm.

    Args:
        model: in evaluation mode, on the data's device.
        seed: of the trial, from which every attack's and measure's chance comes.
        checkpoint: part → the file in which a long attack keeps what it has done so far.
        sources: part → name → model, on the data's device, of whose adversarial images it is about.
    """
    for together in _passes(parts):
        start, first = time.perf_counter(), together[0]
        x, y = _images(data, first)
        curve = [part.threat for part in together if part.threat is not None]
        radii = [part.radius for part in together if part.radius is not None]
        if curve and curve[0].attack == "transfer":
            purpose = purpose_of(curve[0], seed)
            found = [transfer(curve[0], sources(first), model, x, y, purpose)]
        elif curve:
            file = None if checkpoint is None else checkpoint(first)
            found = threats(curve, model, x, y, seed, file)
        elif radii:
            found = certificates(radii, model, x, y)
        else:
            found = [FINDERS[first.name](model, x, y, seed)]
        seconds = (time.perf_counter() - start) / len(together)
        for part, its in zip(together, found, strict=True):
            yield part, _rows(part, len(x), its, seconds)


def evaluate_together(
    models: Sequence[nn.Module], data: Data, parts: Iterable[Part], *, seeds: Sequence[int]
) -> Iterator[tuple[Part, list[Evaluated]]]:
    """Yields, of those of `parts` that can be found for all models in one pass, the rows of each
    model.

    Args:
        models: M of one architecture, in evaluation mode, on the data's device.
        seeds: [M], of their trials.
    """
    for together in _passes(parts):
        curve = [part.threat for part in together if part.threat is not None]
        if not curve or not fusable(curve[0]):
            continue
        start, (x, y) = time.perf_counter(), _images(data, together[0])
        purposes = [purpose_of(curve[0], seed) for seed in seeds]
        found = attack_stacked(curve, models, x, y, seeds=purposes, batch_size=BATCH)
        # Waits for the device, so that the time is its own.
        found = [(each.success.cpu(), each.distance.cpu()) for each in found]
        seconds, x = (time.perf_counter() - start) / (len(together) * len(models)), x.cpu()
        for part, threat, fallen in zip(together, curve, found, strict=True):
            each = [
                nearest(threat, x, *mine) if threat.is_minimal else robustness(mine[0])
                for mine in zip(*fallen)
            ]
            yield part, [_rows(part, len(x), mine, seconds) for mine in each]


def _passes(parts: Iterable[Part]) -> list[list[Part]]:
    """Points of one curve of accuracy against ε together, and certificates in one norm; every other
    part by itself.
    """
    passes: dict[object, list[Part]] = {}
    for part in parts:
        like: object = part.name
        if part.threat is not None and part.threat.has_curves:
            like = part.threat.family
        elif part.radius is not None:
            like = "certified", part.radius.norm
        passes.setdefault((like, part.split, part.examples), []).append(part)
    return list(passes.values())


def _images(data: Data, part: Part) -> tuple[Tensor, Tensor]:
    split: Split = getattr(data, part.split)
    x = split.pixels(torch.arange(min(part.examples, len(split))))
    return x, split.labels[: len(x)]


def _rows(part: Part, n: int, found: Found, seconds: float) -> Evaluated:
    common = {"threat": part.name, "split": part.split, "examples": part.examples}
    scores = []
    for metric, value in found.metrics.items():
        flags = flags_of(metric, float(value)) if metric in CHECKS else ()
        scores.append(Score(metric=metric, value=float(value), n=n, flags=flags, **common))
    examples = [
        Examples(metric=metric, values=tuple(column.float().tolist()), **common)
        for metric, column in found.columns.items()
    ]
    return Evaluated(scores=tuple(scores), examples=tuple(examples), seconds=seconds)


def layers(model: nn.Module, image: Tensor) -> list[Layer]:
    """Per-layer singular values as rows; `image` [1, C, H, W] tells the convolutions' sizes."""
    return [
        Layer(layer=row["name"], kind=row["kind"], metric=metric, value=row[metric])
        for row in layer_measures(model, image)
        for metric in ("sigma_max", "sigma_min", "sigma_std")
    ]
