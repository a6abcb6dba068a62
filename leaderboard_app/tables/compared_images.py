"""Two methods class by class and image by image. Pure functions of what `compare.stack` pairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .compare import finite, row

BOTH, FIRST, SECOND, NEITHER = "both", "only the first", "only the second", "neither"


def labels_of(examples: pd.DataFrame, classes: int) -> np.ndarray:
    """The longest labels that any model's row holds, [N] int; rows with anything but labels do not
    count.

    Args:
        examples: columns key, values.
    """
    rows = [np.asarray(values, float) for values in examples["values"]]
    good = [values for values in rows if np.isin(values, np.arange(classes)).all()]
    return max(good, key=len, default=np.empty(0)).astype(int)


def by_class(
    values: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    selected: np.ndarray | None = None,
) -> pd.DataFrame:
    """`row` for the images of each class that has any: columns class (with its number of images)
    and those of `row`. Images at which a value is not finite count for none.

    Args:
        values: [2, S, N].
        labels: [N] or more; of images beyond them nothing is known.
        names: the classes in label order.
        selected: as of `row`.
    """
    n = min(values.shape[2], len(labels))
    rows = []
    for label, name in enumerate(names):
        mine = finite(values[:, :, :n][:, :, labels[:n] == label])
        if mine.shape[2]:
            rows.append({"class": f"{name} ({mine.shape[2]})"} | row(mine, selected))
    return pd.DataFrame(rows)


def outcomes(correct: np.ndarray) -> dict[str, float]:
    """The share of images, over all seeds, that both methods withstand, only one of them, or
    neither.

    Args:
        correct: [2, S, N].
    """
    first, second = correct > 0
    return {
        BOTH: float((first & second).mean()),
        FIRST: float((first & ~second).mean()),
        SECOND: float((~first & second).mean()),
        NEITHER: float((~first & ~second).mean()),
    }


def by_image(values: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """One row an image at which every value is finite, those with the largest differences first:
    columns image (its place in the test split's fixed order), class (empty where not known), first,
    second (means over seeds), difference.

    Args:
        values: [2, S, N].
    """
    images = np.flatnonzero(np.isfinite(values).all(axis=(0, 1)))
    first, second = values[:, :, images].mean(axis=1)
    table = pd.DataFrame(
        {
            "image": images,
            "class": [names[int(labels[i])] if i < len(labels) else "" for i in images],
            "first": first,
            "second": second,
            "difference": first - second,
        }
    )
    return table.sort_values("difference", key=lambda d: -d.abs(), kind="stable").reset_index(
        drop=True
    )
