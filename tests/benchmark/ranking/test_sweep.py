"""Means over seeds and their intervals: against another library, and by simulation of coverage."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit, logit

from benchmark.ranking.selection import choose
from benchmark.ranking.sweep import half_width, sweep
from registry.load import Registry

pytestmark = pytest.mark.slow

TRACK = Registry().track("quickstart")
IMAGES = 1000


def rows(values, metric="robust_accuracy", regularizer="jacobian", strength=0.1, **more):
    """Of one score of one entry, one value a seed, as `labelled` gives them."""
    common = {
        "architecture": "lenet_300_100",
        "regularizer": regularizer,
        "lambda": strength,
        "threat": TRACK.headline,
        "split": "test",
        "metric": metric,
        "status": "finished",
        "n": IMAGES,
    }
    return pd.DataFrame(
        [common | more | {"seed": seed, "value": value} for seed, value in enumerate(values)]
    )


def test_of_a_measure_of_one_entry_it_is_students_interval():
    values = [1.0, 1.4, 0.9]
    found = sweep(rows(values, metric="margin")).iloc[0]
    expected = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert (found["mean"], found["seeds"]) == (pytest.approx(np.mean(values)), 3)
    assert (found["low"], found["high"]) == pytest.approx(expected)
    assert half_width(pd.Series(values)) == pytest.approx((expected[1] - expected[0]) / 2)


def test_one_seed_of_one_entry_has_no_interval():
    found = sweep(rows([0.5])).iloc[0]
    assert np.isnan([found["low"], found["high"]]).all()
    assert np.isnan(half_width(pd.Series([0.5])))


def test_of_one_seed_the_others_scatter_tells():
    others = rows([0.50, 0.52, 0.51], regularizer="curvature")
    found = sweep(pd.concat([rows([0.5]), others, others.assign(regularizer="none")]))
    assert found["low"].notna().all()
    alone = found[found["regularizer"] == "jacobian"].iloc[0]
    assert alone["low"] < 0.5 < alone["high"]


@pytest.mark.parametrize("values", [[0.0, 0.0, 0.0], [1.0, 1.0, 0.999], [0.0, 1.0], [0.02, 0.1]])
def test_an_interval_of_a_share_stays_within_0_and_1_and_holds_its_mean(values):
    found = sweep(rows(values)).iloc[0]
    assert 0 <= found["low"] <= found["mean"] <= found["high"] <= 1


def test_an_interval_of_a_distance_does_not_reach_below_0_and_of_a_measure_it_may():
    values = [0.01, 0.05, 0.001]
    found = sweep(rows(values, metric="relative_distance")).iloc[0]
    assert found["low"] == 0 < found["mean"] < found["high"]
    assert sweep(rows(values, metric="margin")).iloc[0]["low"] < 0


def simulated(chance, seeds, strengths, scatter):
    """A method whose λ are all equally good: validation and test accuracies of the same models."""
    shape = len(strengths), seeds
    own = expit(logit(0.6) + chance.normal(size=shape) * scatter / (0.6 * 0.4)).ravel()
    like = (
        rows([0.0])
        .iloc[np.zeros(len(own), int)]
        .assign(
            **{
                "lambda": np.repeat(strengths, seeds),
                "seed": np.tile(np.arange(seeds), len(strengths)),
            }
        )
    )
    found = [
        like.assign(value=chance.binomial(n, own) / n, split=split, n=n)
        for split, n in (("validation", 500), ("test", IMAGES))
    ]
    clean = {"value": 0.95, "split": "validation", "threat": "clean", "metric": "accuracy"}
    return pd.concat([*found, like.assign(**clean)])


@pytest.mark.parametrize(
    ("seeds", "lambdas", "scatter"),
    [(2, 8, 0.012), (3, 4, 0.005), (3, 8, 0.05), (10, 8, 0.05)],
)
def test_scores_at_a_selected_lambda_are_unbiased_and_their_intervals_cover(
    seeds, lambdas, scatter
):
    chance = np.random.default_rng(seeds)
    strengths = np.arange(1, lambdas + 1) / 10
    covered, errors = [], []
    for _ in range(25):
        board = []
        for method in range(6):
            mine = simulated(chance, seeds, strengths, scatter)
            choice = choose(TRACK, mine, seeds)
            selected = mine["lambda"] == np.array(choice.by_seed)[mine["seed"]]
            test = mine[selected & (mine["split"] == "test")]
            board.append(test.assign(**{"lambda": 0.0, "regularizer": str(method)}))
        methods = {("lenet_300_100", str(method)) for method in range(6)}
        table = sweep(pd.concat(board), methods)
        covered += ((table["low"] <= 0.6) & (table["high"] >= 0.6)).tolist()
        errors += (table["mean"] - 0.6).tolist()
    assert np.mean(covered) > 0.93 - 2 * np.sqrt(0.93 * 0.07 / len(covered))
    standard_error = np.std(errors) / np.sqrt(len(errors))
    assert abs(np.mean(errors)) < 4 * standard_error + 0.1 * scatter
