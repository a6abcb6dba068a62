"""Two methods at matched λ: paired differences over seeds, whether they are equivalent, and their
two penalties beside each other. Pure functions of tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import pairwise

import numpy as np
import pandas as pd

from benchmark.ranking.verdict import Question, Verdict, verdict

from . import samples


def paired(table: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """Of each (column, matched λ) the seeds that both methods have: columns column, matched, seed,
    first, second and difference, first − second.
    """
    index = ["column", "matched", "seed"]
    values = [
        table[table["method"] == method].groupby(index)["value"].mean()
        for method in (first, second)
    ]
    pairs = pd.concat(values, axis=1, join="inner", keys=["first", "second"]).reset_index()
    return pairs.assign(difference=pairs["first"] - pairs["second"])


def differences(pairs: pd.DataFrame) -> pd.DataFrame:
    """`paired` → one row a (column, matched λ): column, matched, seeds, and the means over these of
    first, second and difference.
    """
    grouped = pairs.groupby(["column", "matched"], sort=True)
    return grouped.agg(
        seeds=("difference", "count"),
        first=("first", "mean"),
        second=("second", "mean"),
        difference=("difference", "mean"),
    ).reset_index()


def tests(
    pairs: pd.DataFrame, columns: Collection[str], margin: float
) -> tuple[pd.DataFrame, Verdict]:
    """Of each row of `differences` whether the two are equivalent there, and of all of them
    together.

    Args:
        pairs: as `paired` gives them.
        columns: the scores that are asked about.
        margin: differences smaller than this do not matter.
    Returns:
        `differences` of these scores with half_width (of the 90 % interval), p and verdict, and the
        claim's verdict.
    """
    mine = pairs[pairs["column"].isin(columns)]
    grouped = mine.groupby(["column", "matched"], sort=True)["difference"]
    found = verdict([Question(values, margin) for _, values in grouped])
    table = differences(mine)
    return table.assign(
        half_width=[answer.half_width for answer in found.answers],
        p=[answer.p for answer in found.answers],
        verdict=[answer.word for answer in found.answers],
    ), found


def in_percent(
    table: pd.DataFrame, headings: Mapping[str, str], methods: tuple[str, str]
) -> pd.DataFrame:
    """What `tests` gives, with scores by their headings and numbers in percent."""
    percents = (100 * table[["first", "second", "difference", "half_width"]]).round(3)
    return pd.DataFrame(
        {
            "Score": table["column"].map(headings),
            "λ": table["matched"],
            "Paired seeds": table["seeds"],
            methods[0]: percents["first"],
            methods[1]: percents["second"],
            "Difference": percents["difference"],
            "± (90 %)": percents["half_width"],
            "p": table["p"],
            "Verdict": table["verdict"],
        }
    )


def largest_gap(pairs: pd.DataFrame, columns: set[str]) -> pd.Series | None:
    """The row of `differences` whose methods lie furthest apart, among the columns given; None
    where there is none.
    """
    mine = pairs[pairs["column"].isin(columns)]
    return None if mine.empty else mine.iloc[int(mine["difference"].abs().to_numpy().argmax())]


# What the chain joins, per test image that the model gets right: column → how it is written.
CHAIN = {"gradient": "p/(1−p)·‖∇‖²", "hessian": "‖H‖₂", "spectral": "½‖V‖₂²", "frobenius": "½µ²"}

ROUNDING = 1e-3  # relative: the measures are kept as float32


def per_example(trials: pd.DataFrame, lipschitz: pd.DataFrame, cross: pd.DataFrame) -> pd.DataFrame:
    """One row a test image: columns key, method, about, squared (µ²) and cross (Ω), where both are
    finite.

    Args:
        trials: columns key, method, lambda, seed.
        lipschitz: per-example values (columns key, values) of µ.
        cross: the same of Ω.
    """
    found = samples.join(trials, {"mu": lipschitz, "cross": cross})
    found = samples.finite(
        found.assign(squared=found["mu"].astype(float) ** 2), ["squared", "cross"]
    )
    about = [
        f"{_about(row)}, image {row['image']}"
        for row in found[["lambda", "seed", "image"]].to_dict("records")
    ]
    return found.assign(about=about)[
        ["key", "method", "lambda", "seed", "about", "squared", "cross"]
    ]


def per_model(trials: pd.DataFrame, lipschitz: pd.DataFrame, cross: pd.DataFrame) -> pd.DataFrame:
    """Means of `per_example` over a model's images: of µ², not the square of the mean µ."""
    each = per_example(trials, lipschitz, cross)
    means = each.groupby(samples.TRIAL, sort=False)[["squared", "cross"]].mean().reset_index()
    return means.assign(about=[_about(row) for row in means[["lambda", "seed"]].to_dict("records")])


def chain(measures: pd.DataFrame) -> pd.DataFrame:
    """The terms of (p_y/(1−p_y))·‖∇‖² ≤ ‖H‖₂ ≤ ½‖V‖₂² ≤ ½µ² at each image that is classified
    correctly (Guo et al. 2020, eq. 15, with squares): columns image and those of CHAIN.

    Args:
        measures: one row an image: image, margin, loss, gradient_norm, hessian_norm, spectral_norm,
            lipschitz.
    """
    table = measures[measures["margin"].astype(float) > 0]
    loss = table["loss"].astype(float)
    odds = np.exp(-loss) / -np.expm1(-loss)  # of p_y = exp(−loss), also where p_y rounds to 1
    found = pd.DataFrame(
        {
            "image": table["image"],
            "gradient": odds * table["gradient_norm"].astype(float) ** 2,
            "hessian": table["hessian_norm"].astype(float),
            "spectral": table["spectral_norm"].astype(float) ** 2 / 2,
            "frobenius": table["lipschitz"].astype(float) ** 2 / 2,
        }
    )
    return samples.finite(found, list(CHAIN))


def holds(terms: pd.DataFrame) -> dict[str, float]:
    """For each ≤ of the chain the share of images at which it holds, but for rounding.

    Args:
        terms: as `chain` gives them.
    """
    names = list(CHAIN)
    return {
        f"{CHAIN[low]} ≤ {CHAIN[high]}": float((terms[low] <= terms[high] * (1 + ROUNDING)).mean())
        for low, high in pairwise(names)
    }


def _about(row: dict) -> str:
    return f"λ = {row['lambda']:g}, seed {row['seed']}"
