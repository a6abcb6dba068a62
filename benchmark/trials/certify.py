"""A trained trial's robustness from both sides at radii of one's own choice; nothing is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from registry.spec import Part, Radius, Threat, Trial

from ..evaluation.certificates import certificates
from ..evaluation.evaluate import evaluate
from ..evaluation.exact import exact_verdicts
from .group import configure
from .run import trained


@dataclass(frozen=True)
class Looked:
    """Of one radius, shares of the images.

    certified: None where the network cannot be bounded.
    worst: classified correctly and not broken by FMN or by the exact search.
    verdicts: how many images are "robust", "broken" and "not decided", after an exact search about
        those between the two; None where it was not asked for.
    """

    radius: Radius
    images: int
    certified: float | None
    worst: float
    verdicts: Counter[str] | None


def look_at(
    trial: Trial,
    home: Path,
    radii: Sequence[Radius],
    images: int,
    *,
    seconds: float | None,
    on_images: Callable[[int], None],
) -> list[Looked]:
    """Of each radius, on the first `images` test images.

    Args:
        trial: one whose weights are in `home`.
        radii: of one norm.
        seconds: for the exact answer about an image; None asks for none.
        on_images: told how many images a step was about; of each radius it hears of all, and again
            of all where answers are exact.
    Raises:
        InputError: there are no exact answers for such a network.
    """
    configure()
    data, _, model = trained(trial, home, "cpu")
    x = data.test.pixels(torch.arange(min(images, len(data.test))))
    y = data.test.labels[: len(x)]
    nearest = Threat(attack="fmn", norm=radii[0].norm)
    part = Part(name=nearest.id, split="test", examples=len(x), threat=nearest)
    ((_, rows),) = evaluate(model, data, [part], seed=trial.seed)
    distance = torch.tensor(
        next(column.values for column in rows.examples if column.metric == "distance")
    )
    found = []
    for radius, proven in zip(radii, certificates(radii, model, x, y, on_images)):
        unbroken, verdicts = distance > radius.epsilon, None
        if seconds is not None:
            certified = proven.columns.get("certified", torch.zeros_like(unbroken))
            open_ = unbroken & ~certified
            on_images(len(x) - int(open_.sum()))
            answers = exact_verdicts(model, x[open_], y[open_], radius.epsilon, seconds, on_images)
            unbroken[open_] = torch.tensor(
                [answer != "broken" for answer in answers], dtype=torch.bool
            )
            verdicts = Counter(answers)
            verdicts["robust"] += int(certified.sum())
            verdicts["broken"] += int((~unbroken & ~open_).sum())
        share = proven.metrics.get("certified_accuracy")
        found.append(
            Looked(
                radius,
                len(x),
                None if share is None else float(share),
                float(unbroken.double().mean()),
                verdicts,
            )
        )
    return found
