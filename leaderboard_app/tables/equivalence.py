"""Two methods at matched λ: paired differences over seeds, whether they are equivalent, and their
two penalties beside each other. Pure functions of tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from benchmark.ranking.equivalence import LEVEL, two_one_sided_tests

from . import samples


def differences(table: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """Paired differences, first − second, over the seeds that both have: one row a (column, matched
    λ).

    Columns: column, matched, seeds, first and second (means over those seeds), difference,
    deviation (standard deviation of the differences; NaN for one seed).
    """
    index = ["column", "matched", "seed"]
    values = [
        table[table["method"] == method].groupby(index)["value"].mean()
        for method in (first, second)
    ]
    pairs = pd.concat(values, axis=1, join="inner", keys=["first", "second"]).reset_index()
    pairs["difference"] = pairs["first"] - pairs["second"]
    grouped = pairs.groupby(["column", "matched"], sort=True)
    return grouped.agg(
        seeds=("difference", "count"),
        first=("first", "mean"),
        second=("second", "mean"),
        deviation=("difference", lambda d: d.std(ddof=1)),
        difference=("difference", "mean"),
    ).reset_index()


def equivalence(pairs: pd.DataFrame, margin: float) -> pd.DataFrame:
    """The two one-sided tests for each row of `differences`: adds its half_width, p and verdict."""
    found = [
        asdict(
            two_one_sided_tests(
                float(row["difference"]), float(row["deviation"]), int(row["seeds"]), margin
            )
        )
        for row in pairs.to_dict("records")
    ]
    return pairs.join(
        pd.DataFrame(found, columns=["half_width", "p", "verdict"], index=pairs.index)
    )


def simultaneous(pairs: pd.DataFrame, margin: float) -> pd.DataFrame:
    """The same for all λ of a score at once: each half_width is Bonferroni's, so that the intervals
    of a score hold together, and so do its verdicts.
    """
    tests = pairs.groupby("column")["matched"].transform("count")
    error = pairs["deviation"] / np.sqrt(pairs["seeds"])
    width = stdtrit(pairs["seeds"] - 1, 1 - LEVEL / tests) * error
    far = pairs["difference"].abs()
    conditions = [pairs["seeds"] < 2, far + width < margin, far - width > margin]
    verdicts = np.select(conditions, ["one seed", "equivalent", "different"], "undecided")
    return pairs.assign(half_width=width, verdict=verdicts)


def in_a_sentence(tests: pd.DataFrame) -> str:
    """The verdict over every score and λ: "equivalent", "different", "undecided" or "one seed".

    Args:
        tests: as `simultaneous` gives it.
    """
    verdicts = set(tests["verdict"])
    if verdicts <= {"equivalent"}:
        return "equivalent"
    return next(name for name in ("different", "undecided", "one seed") if name in verdicts)


def in_percent(
    tests: pd.DataFrame, headings: Mapping[str, str], methods: tuple[str, str]
) -> pd.DataFrame:
    """What `equivalence` gives, with scores by their headings and numbers in percent."""
    percents = (100 * tests[["first", "second", "difference", "half_width"]]).round(3)
    return pd.DataFrame(
        {
            "Score": tests["column"].map(headings),
            "λ": tests["matched"],
            "Paired seeds": tests["seeds"],
            methods[0]: percents["first"],
            methods[1]: percents["second"],
            "Difference": percents["difference"],
            "± (90 %)": percents["half_width"],
            "p": tests["p"],
            "Verdict": tests["verdict"],
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
