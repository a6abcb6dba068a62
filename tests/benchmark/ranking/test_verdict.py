"""The four answers: against another library's tests, and by simulation."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmark.ranking.verdict import Question, verdict


def question(values, margin=None):
    return Question(pd.Series(values, dtype=float), margin)


@pytest.mark.parametrize("seed", range(6))
def test_one_direction_is_the_paired_t_test(seed):
    chance = np.random.default_rng(seed)
    values = chance.normal(0.6, 1.0, 8) * (1 if seed % 2 else -1)
    above = stats.ttest_1samp(values, 0, alternative="greater").pvalue < 0.025
    below = stats.ttest_1samp(values, 0, alternative="less").pvalue < 0.025
    expected = "shown" if above else "refuted" if below else "not decided"
    assert verdict([question(values)]).word == expected


def test_equality_needs_the_interval_within_the_margin():
    narrow, wide = [0.001, -0.001, 0.0, 0.002], [0.05, -0.05, 0.04, -0.04]
    assert verdict([question(narrow, 0.02)]).word == "shown"
    assert verdict([question(np.add(narrow, 0.05), 0.02)]).word == "refuted"
    open_still = verdict([question(wide, 0.02)])  # its mean is 0, but so little is known
    assert open_still.word == "not decided"
    assert open_still.seeds > 4


def test_each_question_is_answered_for_itself_and_by_the_interval_of_its_mean():
    near, far = [0.001, -0.001, 0.0, 0.002, 0.0], [0.05, 0.052, 0.047, 0.051, 0.05]
    found = verdict([question(near, 0.02), question(far, 0.02)])
    assert [answer.word for answer in found.answers] == ["shown", "refuted"]
    assert found.word == "refuted"
    [alone] = verdict([question(far, 0.02)]).answers
    low, high = stats.ttest_1samp(far, 0).confidence_interval(0.9)
    assert alone.half_width == pytest.approx((high - low) / 2)
    assert verdict([question([0.0]), question([])]).answers[1].word == "not run"


def test_without_rows_or_scatter_nothing_is_decided():
    assert verdict([question([])]).word == "not run"
    assert verdict([question([0.0], 0.02)]).word == "not decided"
    assert verdict([]).word == "not decided"


def test_the_seeds_named_give_the_power_that_is_said():
    chance = np.random.default_rng(0)
    sample = np.array([0.0, 1.0, 2.0, -0.5, 1.0])
    needed = verdict([question(sample)]).seeds
    mean, deviation = sample.mean(), sample.std(ddof=1)
    drawn = chance.normal(mean, deviation, (4000, needed))
    power = (stats.ttest_1samp(drawn, 0, axis=1, alternative="greater").pvalue < 0.025).mean()
    assert power == pytest.approx(0.8, abs=0.06)
    fewer = drawn[:, : needed // 2]
    assert (stats.ttest_1samp(fewer, 0, axis=1, alternative="greater").pvalue < 0.025).mean() < 0.7


@pytest.mark.parametrize("seeds", [3, 5])
def test_true_equality_at_eight_strengths_is_mostly_shown_and_hardly_ever_refuted(seeds):
    """Where seeds scatter by half a point; tests of each λ by itself find it in 7 % of cases."""
    chance = np.random.default_rng(seeds)
    found = [
        verdict([question(chance.normal(0, 0.005, seeds), 0.02) for _ in range(8)]).word
        for _ in range(200)
    ]
    assert found.count("shown") > 0.9 * len(found)
    assert "refuted" not in found


@pytest.mark.parametrize("count", [1, 8])
def test_what_is_true_is_refuted_in_at_most_five_percent(count):
    chance = np.random.default_rng(count)
    found = [
        verdict([question(chance.normal(0, 1, 4)) for _ in range(count)]).word for _ in range(300)
    ]
    assert found.count("refuted") <= 300 * (0.05 + 3 * np.sqrt(0.05 * 0.95 / 300))
