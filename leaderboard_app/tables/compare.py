"""Two methods on the same seeds and the same images: paired differences with intervals. Pure
functions of tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from benchmark.ranking.comparison import difference

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


def scored(
    first: Mapping[int, str],
    second: Mapping[int, str],
    scores: pd.DataFrame,
    examples: pd.DataFrame,
) -> tuple[list[int], np.ndarray]:
    """The seeds that both have a score of, and the values [2, S, N] whose means are those scores:
    per image where every image of the score is stored for all of them, else the scores themselves,
    N = 1.

    Args:
        first, second: as `stack` takes them.
        scores: columns key, value, n (how many images it is a mean of).
        examples: columns key, values.
    """
    known = dict(zip(scores["key"], zip(scores["value"].astype(float), scores["n"])))
    seeds = sorted(
        seed for seed in first.keys() & second.keys() if {first[seed], second[seed]} <= known.keys()
    )
    keys = [[method[seed] for seed in seeds] for method in (first, second)]
    means = np.array([[[known[key][0]] for key in mine] for mine in keys]).reshape(2, -1, 1)
    images = {known[key][1] for mine in keys for key in mine}
    paired, values = stack(first, second, examples)
    whole = paired == seeds and images == {values.shape[2]} and np.isfinite(values).all()
    if whole and np.allclose(values.mean(2), means[:, :, 0], atol=1e-6):
        return seeds, values
    return seeds, means


def finite(values: np.ndarray) -> np.ndarray:
    """[2, S, N] without the images at which any value is not finite."""
    return values[:, :, np.isfinite(values).all(axis=(0, 1))]


def row(values: np.ndarray) -> dict[str, float | int]:
    """first, second (means), difference with the ends low and high of its 95 % interval, seeds and
    images.

    Two shares differ by at most 1, and so do two relative distances of an attack that ends at a
    grey image: the interval ends there, however few the seeds.

    Args:
        values: [2, S, N].
    """
    mean, low, high = difference(values)
    return {
        "first": float(values[0].mean()),
        "second": float(values[1].mean()),
        "difference": mean,
        "low": max(low, -1.0) if np.isfinite(low) else low,
        "high": min(high, 1.0) if np.isfinite(high) else high,
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
    """`row` for the images of each class that has any: columns class (with its number of images)
    and those of `row`.

    Args:
        values: [2, S, N].
        labels: [N] or more; of images beyond them nothing is known.
        names: the classes in label order.
    """
    n = min(values.shape[2], len(labels))
    rows = []
    for label, name in enumerate(names):
        mine = values[:, :, :n][:, :, labels[:n] == label]
        if mine.shape[2]:
            rows.append({"class": f"{name} ({mine.shape[2]})"} | row(mine))
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
    known = [names[int(label)] for label in labels[: len(first)]]
    known += [""] * (len(first) - len(known))
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
