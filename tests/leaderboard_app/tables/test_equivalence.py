"""Paired differences and equivalence tests, against scipy and by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from leaderboard_app.tables import equivalence, matched


def scored(method, matched, values, column="clean"):
    return pd.DataFrame(
        [
            {
                "method": method,
                "matched": matched,
                "lambda": matched,
                "seed": seed,
                "column": column,
                "value": v,
                "key": f"{method}{seed}",
            }
            for seed, v in values.items()
        ]
    )


def labelled(**changes):
    row = {
        "key": "k",
        "architecture": "a",
        "regularizer": "jacobian",
        "lambda": 2e-5,
        "seed": 0,
        "status": "finished",
        "threat": "clean",
        "split": "test",
        "metric": "accuracy",
        "value": 0.9,
    }
    return pd.DataFrame([row | changes])


@pytest.mark.parametrize(
    ("strength", "classes", "expected"), [(2e-5, 10, 1e-4), (0.32, 10, 1.6), (0.1, 2, 0.1)]
)
def test_jacobian_is_plotted_at_lambda_k_over_2(strength, classes, expected):
    assert matched.matched(labelled(**{"lambda": strength}), classes)["matched"].item() == expected
    variant = labelled(**{"lambda": strength, "regularizer": "jacobian:projections=1"})
    assert matched.matched(variant, classes)["matched"].item() == expected
    other = labelled(**{"lambda": strength, "regularizer": "curvature"})
    assert matched.matched(other, classes)["matched"].item() == strength


@pytest.mark.parametrize(
    "change",
    [
        {"value": math.nan},
        {"value": math.inf},
        {"status": "diverged"},
        {"split": "validation"},
        {"metric": "loss"},
    ],
)
def test_only_finite_test_scores_of_finished_trials_are_compared(change):
    assert matched.matched(labelled(**change), 2).empty
    assert len(matched.matched(labelled(), 2)) == 1


def test_differences_are_paired_by_seed():
    table = pd.concat(
        [
            scored("jacobian", 0.1, {0: 0.5, 1: 0.7, 2: 0.9}),
            scored("jacobian", 0.2, {0: 1.0}),
            scored("cross_lipschitz", 0.1, {1: 0.6, 2: 0.6, 3: 0.0}),
        ]
    )
    pairs = equivalence.paired(table, "jacobian", "cross_lipschitz")
    [row] = equivalence.differences(pairs).to_dict("records")
    assert (row["column"], row["matched"], row["seeds"]) == ("clean", 0.1, 2)
    assert row["difference"] == pytest.approx(0.2)  # of 0.1 and 0.3
    assert pairs["difference"].tolist() == pytest.approx([0.1, 0.3])
    assert (row["first"], row["second"]) == pytest.approx((0.8, 0.6))


def answered(values):
    """The row of one score at one λ, and the verdict on it."""
    first = scored("jacobian", 1, values)
    second = scored("cross_lipschitz", 1, dict.fromkeys(values, 0.5))
    pairs = equivalence.paired(pd.concat([first, second]), "jacobian", "cross_lipschitz")
    table, verdict = equivalence.tests(pairs, {"clean"}, 0.02)
    [row] = table.to_dict("records")
    assert verdict.word == row["verdict"]
    return row


@pytest.mark.parametrize("shift", [0.0, 0.015, 0.03, -0.03, 0.2, -0.2])
def test_the_p_value_of_one_score_is_that_of_scipys_two_one_sided_tests(shift):
    d = np.random.default_rng(0).normal(shift, 0.01, 6)
    row = answered(dict(enumerate(0.5 + d)))
    above = stats.ttest_1samp(d, -0.02, alternative="greater")
    below = stats.ttest_1samp(d, 0.02, alternative="less")
    assert row["p"] == pytest.approx(max(above.pvalue, below.pvalue), rel=1e-9)
    low, high = stats.ttest_1samp(d, 0).confidence_interval(0.9)
    assert row["half_width"] == pytest.approx((high - low) / 2)
    outside = stats.ttest_1samp(d, np.sign(d.mean()) * 0.02).pvalue < 0.05 and abs(d.mean()) > 0.02
    inside = low > -0.02 and high < 0.02
    assert row["verdict"] == ("shown" if inside else "refuted" if outside else "not decided")


def test_one_seed_gives_no_verdict_and_equal_seeds_no_division_by_zero():
    assert answered({0: 0.5})["verdict"] == "not decided"
    assert math.isnan(answered({0: 0.5})["half_width"])
    assert answered({0: 0.5, 1: 0.5})["verdict"] == "shown"
    assert answered({0: 0.75, 1: 0.75})["verdict"] == "refuted"


def test_the_claim_of_all_scores_is_refuted_by_one_and_shown_by_all():
    first = {0: 0.501, 1: 0.499, 2: 0.5}
    far = {0: 0.70, 1: 0.71, 2: 0.69}
    table = pd.concat(
        [
            scored("jacobian", 1, first),
            scored("jacobian", 1, first, "pgd"),
            scored("jacobian", 1, far, "distance"),
            *(
                scored("cross_lipschitz", 1, dict.fromkeys(first, 0.5), column)
                for column in ("clean", "pgd", "distance")
            ),
        ]
    )
    pairs = equivalence.paired(table, "jacobian", "cross_lipschitz")
    near, shown = equivalence.tests(pairs, {"clean", "pgd"}, 0.02)
    assert (shown.word, set(near["verdict"])) == ("shown", {"shown"})
    everything, refuted = equivalence.tests(pairs, {"clean", "pgd", "distance"}, 0.02)
    assert refuted.word == "refuted"
    words = dict(zip(everything["column"], everything["verdict"]))
    assert words["distance"] == "refuted"


def test_the_largest_gap_is_the_largest_of_either_sign_among_the_columns_asked_for():
    pairs = pd.DataFrame(
        {
            "column": ["clean", "pgd", "deepfool"],
            "matched": [1, 2, 3],
            "difference": [0.1, -0.2, 0.9],
        }
    )
    assert equivalence.largest_gap(pairs, {"clean", "pgd"})["column"] == "pgd"
    assert equivalence.largest_gap(pairs, {"fgsm"}) is None


def test_per_model_is_the_mean_of_squares_and_skips_what_is_not_finite():
    trials = pd.DataFrame({"key": ["k"], "method": ["jacobian"], "lambda": [0.1], "seed": [3]})
    mu = pd.DataFrame({"key": ["k"], "values": [np.array([1.0, 3.0, math.inf, 2.0])]})
    omega = pd.DataFrame({"key": ["k"], "values": [np.array([0.5, 4.0, 1.0, math.nan])]})
    [row] = equivalence.per_model(trials, mu, omega).to_dict("records")
    assert (row["squared"], row["cross"]) == (5.0, 2.25)
    assert row["about"] == "λ = 0.1, seed 3"
