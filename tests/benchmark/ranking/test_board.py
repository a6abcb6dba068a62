"""Rank intervals: the bootstrap against every possible draw, and the ranks that follow from it."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmark.ranking.board import with_ranks, worst_case
from benchmark.ranking.bootstrap import difference, told_better
from benchmark.ranking.selection import selected_trials
from benchmark.ranking.standings import standings
from registry.load import Registry

TRACK = Registry().track("quickstart")
TRIALS = [trial for _, trial in Registry().select(["quickstart"])]
METHODS = list(dict.fromkeys(trial.entry.regularizer for trial in TRIALS))


@pytest.mark.parametrize("images", [3, 4, 5])
def test_of_one_seed_who_is_told_better_agrees_with_every_possible_draw(images):
    rng, decided = np.random.default_rng(0), 0
    for _ in range(20):
        first, second = rng.integers(0, 3, size=(2, images)) + np.array(
            [[rng.choice([0.0, 1.5])], [0.0]]
        )
        every = np.array(
            [
                (first - second)[list(draw)].mean()
                for draw in itertools.product(range(images), repeat=images)
            ]
        )
        for i, j, d in ((0, 1, every), (1, 0, -every)):
            share = (d <= 1e-12).mean()
            if abs(share - 0.025) > 0.015:  # two thousand draws tell on which side of 2.5 % this is
                assert told_better(np.array([[first], [second]]))[i, j] == (share < 0.025)
                decided += 1
    assert decided > 20


@pytest.mark.parametrize("seeds", [2, 3, 10])
@pytest.mark.parametrize("shift", [0.0, 0.02, 0.1])
def test_of_one_image_a_seed_it_is_the_paired_t_interval(seeds, shift):
    values = (
        np.random.default_rng(seeds).normal(size=(2, seeds, 1)) / 20
        + np.array([shift, 0.0])[:, None, None]
    )
    expected = stats.ttest_rel(*values[:, :, 0]).confidence_interval(0.95)
    mean, low, high = difference(values)
    assert mean == pytest.approx(values[0].mean() - values[1].mean())
    assert (low, high) == pytest.approx((expected.low, expected.high), rel=0.02, abs=1e-4)
    assert told_better(values)[0, 1] == (expected.low > 0)


def test_the_variances_over_seeds_and_over_images_add_up():
    rng = np.random.default_rng(3)
    effect = (
        rng.normal(size=(60, 1)) * 0.1 + rng.normal(size=(1, 400)) * 2
    )  # of each seed, and of each image
    mean, low, high = difference(np.array([effect, np.zeros_like(effect)]))
    error = np.sqrt(effect.mean(1).var(ddof=1) / 60 + effect.mean(0).var(ddof=1) / 400)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.05)
    assert mean == pytest.approx(effect.mean())


def test_three_seeds_of_equal_methods_are_seldom_told_apart():
    rng = np.random.default_rng(0)
    told = [
        told_better(0.5 + 0.1 * rng.normal(size=(2, 3, 1)) * np.ones((1, 1, 20))).any()
        for _ in range(300)
    ]
    assert np.mean(told) < 0.09  # 5 % of 300, and four of its standard errors


@pytest.mark.parametrize("gap", [0.0, 0.01, 0.1, 0.2])
def test_with_one_seed_and_many_images_it_is_the_paired_normal_test(gap):
    rng = np.random.default_rng(1)
    common = rng.uniform(size=2000)
    first, second = (
        common + 0.1 * rng.normal(size=2000) < 0.5 + gap,
        common + 0.1 * rng.normal(size=2000) < 0.5,
    )
    difference = first.astype(float) - second
    error = difference.std() / np.sqrt(2000)
    found = told_better(np.array([[first], [second]]))
    assert found[0, 1] == (difference.mean() - stats.norm.ppf(0.975) * error > 0)
    assert not found[1, 0]


def test_pairing_tells_apart_what_the_two_intervals_alone_do_not():
    second = np.arange(1000) % 10 < 5
    first = second.copy()
    first[np.flatnonzero(~second)[:20]] = True  # two points better on the same images
    assert told_better(np.array([[first], [second]]))[0, 1]
    shuffled = np.random.default_rng(0).permutation(second)
    assert not told_better(np.array([[first], [shuffled]]))[0, 1]


def test_a_seed_that_disagrees_leaves_it_open():
    first, second = np.array([0.9, 0.9, 0.1])[:, None] * np.ones(500), np.full((3, 500), 0.5)
    assert not told_better(np.array([first, second])).any()


@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 3, 100)])
def test_one_seed_of_one_image_and_one_method_tell_nothing(shape):
    assert not told_better(np.random.default_rng(0).uniform(size=shape)).any()


def rows(level, examples=True):
    """Scores and per-example values in which a method withstands the first `level` of the images,
    for every λ and seed.
    """
    scores, values = [], []
    for trial in {trial.key: trial for trial in TRIALS}.values():
        correct = np.arange(360) < round(360 * level[trial.entry.regularizer])
        for part in trial.evaluation:
            metric = {
                "clean": "accuracy",
                "deepfool-2": "relative_distance",
                "measures": "margin",
                "honesty": "randomised",
            }
            number = {"clean": 0.99, "deepfool-2": 0.1, "measures": 1.0, "honesty": 0.0}.get(
                part.name, correct.mean()
            )
            scores.append(
                {
                    "key": trial.key,
                    "train_seconds": 1.0,
                    "status": "finished",
                    "threat": part.name,
                    "split": part.split,
                    "metric": metric.get(part.name, "robust_accuracy"),
                    "examples": part.examples,
                    "n": part.examples,
                    "flags": [],
                    "value": number,
                }
            )
        values.append(
            {"key": trial.key, "threat": TRACK.headline, "examples": 360, "values": correct}
        )
    return pd.DataFrame(scores), pd.DataFrame(
        values if examples else [], columns=["key", "threat", "examples", "values"]
    )


def ranked(scores, examples):
    table = standings(TRACK, TRIALS, scores)
    return with_ranks(TRACK, selected_trials(TRIALS, table), table, examples, scores)


@pytest.mark.parametrize("examples", [True, False])
def test_methods_that_cannot_be_told_apart_share_a_rank(examples):
    level = dict(zip(METHODS, (0.2, 0.2, 0.4, 0.805, 0.8, 0.6)))
    scores, values = rows(level, examples)
    table = ranked(scores, values)
    found = {
        row["regularizer"]: (row["rank"], row["rank_high"]) for row in table.to_dict("records")
    }
    if examples:  # two images of 360 more are not told apart
        assert found == {
            METHODS[3]: (1, 2),
            METHODS[4]: (1, 2),
            METHODS[5]: (3, 3),
            METHODS[2]: (4, 4),
            METHODS[0]: (5, 6),
            METHODS[1]: (5, 6),
        }
    else:  # all that is known are the seeds' means, and they agree
        assert found[METHODS[3]] == (1, 1)
        assert found[METHODS[0]] == found[METHODS[1]] == (5, 6)


def test_a_higher_mean_never_has_the_worse_rank():
    scores, values = rows(dict.fromkeys(METHODS, 0.5))
    seeds = {
        METHODS[0]: (0.9, 0.9, 0.9),
        METHODS[1]: (0.6, 0.6, 0.6),
        METHODS[2]: (0.1, 0.9, 0.65),
    }  # the last: anywhere
    for trial in TRIALS:
        level = seeds.get(trial.entry.regularizer, (0.3, 0.3, 0.3))[trial.seed]
        mine = (scores["key"] == trial.key) & (scores["metric"] == "robust_accuracy")
        scores.loc[mine, "value"] = level
        values.loc[values["key"] == trial.key, "values"] = values.loc[
            values["key"] == trial.key, "values"
        ].map(lambda correct, level=level: np.arange(360) % 100 < 100 * level)
    table = ranked(scores, values)
    found = {
        row["regularizer"]: (row["rank"], row["rank_high"]) for row in table.to_dict("records")
    }
    assert found[METHODS[0]] == (1, 2)
    assert (
        found[METHODS[1]][0] == 1
    )  # told to be worse than the first, but the scattered one below it may be the first
    assert table["rank"].is_monotonic_increasing
    assert table["rank_high"].is_monotonic_increasing


def test_an_unranked_method_has_no_interval_and_counts_in_none():
    scores, values = rows(dict.fromkeys(METHODS, 0.5))
    missing = {trial.key for trial in TRIALS if trial.entry.regularizer == "curvature"}
    scores = scores[~scores["key"].isin(missing)]
    table = ranked(scores, values).set_index("regularizer")
    assert table.loc["curvature", ["rank", "rank_high"]].isna().all()
    others = table.drop("curvature")
    assert (others["rank"] == 1).all()
    assert (others["rank_high"] == len(METHODS) - 1).all()


def test_before_anything_has_run_nothing_is_ranked():
    empty = pd.DataFrame()
    table = ranked(empty, empty)
    assert table["rank_high"].isna().all()


def test_a_worst_case_is_under_the_union_of_all_attacks_on_the_images_that_all_have():
    rng = np.random.default_rng(0)
    correct = {
        "fgsm": rng.random(50) < 0.7,
        "pgd": rng.random(40) < 0.5,
        "apgd": rng.random(60) < 0.5,
    }
    union = [all(values[i] for values in correct.values()) for i in range(40)]
    assert worst_case(correct) == pytest.approx(sum(union) / 40)
    with pytest.raises(ValueError, match="at least one attack"):
        worst_case({})
