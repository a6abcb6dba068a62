"""Two methods on the same seeds and the same images: paired differences with intervals. Pure
functions of tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from benchmark.ranking.bootstrap import difference

BOTH, FIRST, SECOND, NEITHER = "both", "only the first", "only the second", "neither"


def stack(
    first: Mapping[int, str], second: Mapping[int, str], examples: pd.DataFrame
) -> tuple[list[int], np.ndarray]:
    """The seeds that both have, and their values [2, S, N] on the first images, those that all of
    them have.

    Args:
        first: seed → key, of the one method's trials.
        second: the same of the other's.
        examples: columns key, values.
    """
    known = {
        key: np.asarray(values, float)
        for key, values in zip(examples["key"], examples["values"])
        if len(values)
    }
    seeds = sorted(
        seed
        for seed in first.keys() & second.keys()
        if first[seed] in known and second[seed] in known
    )
    if not seeds:
        return [], np.empty((2, 0, 0))
    arrays = [[known[method[seed]] for seed in seeds] for method in (first, second)]
    shared = min(len(values) for method in arrays for values in method)
    return seeds, np.array([[values[:shared] for values in method] for method in arrays])


def finite(values: np.ndarray) -> np.ndarray:
    """[2, S, N] without the images at which any value is not finite."""
    return values[:, :, np.isfinite(values).all(axis=(0, 1))]


def row(values: np.ndarray) -> dict[str, float | int]:
    """first, second (means), difference with the ends low and high of its 95 % interval, seeds and
    images.

    Args:
        values: [2, S, N].
    """
    mean, low, high = difference(values)
    return {
        "first": float(values[0].mean()),
        "second": float(values[1].mean()),
        "difference": mean,
        "low": low,
        "high": high,
        "seeds": values.shape[1],
        "images": values.shape[2],
    }


def labels_of(examples: pd.DataFrame, classes: int) -> np.ndarray:
    """The longest labels that any model's row holds, [N] int; rows with anything but labels do not
    count.

    Args:
        examples: columns key, values.
    """
    rows = [np.asarray(values, float) for values in examples["values"]]
    good = [values for values in rows if np.isin(values, np.arange(classes)).all()]
    return max(good, key=len, default=np.empty(0)).astype(int)


def by_class(values: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """`row` for the images of each class that has any: columns class and those of `row`.

    Args:
        values: [2, S, N].
        labels: [N] or more; of images beyond them nothing is known.
        names: the classes in label order.
    """
    n = min(values.shape[2], len(labels))
    rows = [
        {"class": name} | row(values[:, :, :n][:, :, labels[:n] == label])
        for label, name in enumerate(names)
        if (labels[:n] == label).any()
    ]
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
    """One row an image, those with the largest differences first: columns image (its place in the
    test split's fixed order), class (empty where not known), first, second (means over seeds),
    difference.

    Args:
        values: [2, S, N].
    """
    first, second = values.mean(axis=1)
    known = [names[int(label)] for label in labels[: len(first)]] + [""] * max(
        0, len(first) - len(labels)
    )
    table = pd.DataFrame(
        {
            "image": np.arange(len(first)),
            "class": known,
            "first": first,
            "second": second,
            "difference": first - second,
        }
    )
    return table.sort_values("difference", key=lambda d: -d.abs(), kind="stable").reset_index(
        drop=True
    )
