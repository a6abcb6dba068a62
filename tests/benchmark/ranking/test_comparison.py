"""Who is told to be better: against tests of another library, and by simulation."""

import itertools

import numpy as np
import pytest
from scipy import stats

from benchmark.ranking.comparison import Differences, difference, holm, told_better


@pytest.mark.parametrize("seeds", [2, 3, 10])
@pytest.mark.parametrize("shift", [0.0, 0.02, 0.1])
def test_of_two_methods_and_one_image_it_is_the_paired_t_test(seeds, shift):
    chance = np.random.default_rng(seeds)
    values = chance.normal(size=(2, seeds, 1)) / 20
    values[0] += shift
    expected = stats.ttest_rel(*values[:, :, 0])
    interval = expected.confidence_interval(0.95)
    mean, low, high = difference(values)
    assert mean == pytest.approx(values[0].mean() - values[1].mean())
    assert (low, high) == pytest.approx((interval.low, interval.high))
    assert Differences.of(values).p_values()[0, 1] == pytest.approx(expected.pvalue)
    assert told_better(values)[0, 1] == (interval.low > 0)


def test_of_one_seed_it_is_the_paired_t_test_over_images():
    values = np.random.default_rng(1).normal(size=(2, 1, 200)) + np.array([0.2, 0])[:, None, None]
    expected = stats.ttest_rel(*values[:, 0]).pvalue
    assert Differences.of(values).p_values()[0, 1] == pytest.approx(expected)


def test_the_variances_over_seeds_and_over_images_add_up():
    chance = np.random.default_rng(3)
    effect = chance.normal(size=(60, 1)) * 0.1 + chance.normal(size=(1, 400)) * 2
    mean, low, high = difference(np.array([effect, np.zeros_like(effect)]))
    error = np.sqrt(effect.mean(1).var(ddof=1) / 60 + effect.mean(0).var(ddof=1) / 400)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.02)
    assert mean == pytest.approx(effect.mean())


def test_pairing_tells_apart_what_the_two_intervals_alone_do_not():
    second = np.arange(1000) % 10 < 5
    first = second.copy()
    first[np.flatnonzero(~second)[:20]] = True  # two points better on the same images
    assert told_better(np.array([[first], [second]], float))[0, 1]
    shuffled = np.random.default_rng(0).permutation(second)
    assert not told_better(np.array([[first], [shuffled]], float))[0, 1]


def test_a_seed_that_disagrees_leaves_it_open():
    first, second = np.array([0.9, 0.9, 0.1])[:, None] * np.ones(500), np.full((3, 500), 0.5)
    assert not told_better(np.array([first, second])).any()


def test_an_infinite_distance_leaves_its_own_pairs_open_and_no_other():
    means = np.array([3.0, 2.0, 1.0])[:, None, None]
    values = means + np.random.default_rng(0).normal(size=(3, 5, 1)) / 100
    assert told_better(values)[np.triu_indices(3, 1)].all()
    with np.errstate(invalid="ignore"):
        told = told_better(np.concatenate([values, np.full((1, 5, 1), np.nan)]))
    assert (told[:3, :3] == told_better(values)).all()
    assert not told[3].any() and not told[:, 3].any()


@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 3, 100)])
def test_one_seed_of_one_image_and_one_method_tell_nothing(shape):
    assert not told_better(np.random.default_rng(0).uniform(size=shape)).any()


def test_holm_rejects_what_the_closed_bonferroni_tests_of_all_subsets_reject():
    chance = np.random.default_rng(0)
    for _ in range(50):
        p = chance.uniform(size=5) ** 3
        closed = np.zeros(5)
        for size in range(1, 6):
            for subset in map(list, itertools.combinations(range(5), size)):
                closed[subset] = np.maximum(closed[subset], min(1, size * p[subset].min()))
        assert holm(p) == pytest.approx(closed)


def boards(methods, seeds, scatter, times, images=400, gap=0.0):
    """Boards of simulated models: images differ in difficulty, for each method in its own way, and
    each seed is by chance better or worse; the first method is better by `gap`.
    """
    chance = np.random.default_rng(methods * 100 + seeds)
    slope = np.sqrt(2 * np.pi * 1.25)  # of an accuracy near 1/2 in the latent mean, inverted
    for _ in range(times):
        images_of_all = chance.normal(size=images)
        own = chance.normal(size=(methods, 1, images)) * 0.4
        of_seed = chance.normal(size=(methods, seeds, 1)) * np.reshape(scatter, (-1, 1, 1)) * slope
        noise = chance.normal(size=(methods, seeds, images)) * 0.3
        latent = images_of_all + own + of_seed + noise
        latent[0] += gap * slope
        yield (latent > 0).astype(float)


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("scatter", [0.005, 0.012, 0.05])
def test_equal_methods_are_told_apart_as_often_as_meant(seeds, scatter):
    """Before the correction for families: 5 % are meant; on as many boards as can be afforded the
    rate scatters by a point.
    """
    rates = [
        (Differences.of(values).p_values()[np.triu_indices(6, 1)] < 0.05).mean()
        for values in boards(6, seeds, scatter, times=150)
    ]
    assert 0.015 < np.mean(rates) < 0.08


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("scatter", [0.005, 0.05, "mixed"])
def test_a_board_of_equal_methods_seldom_tells_any_better(seeds, scatter):
    mixed = np.geomspace(0.005, 0.05, 6)
    found = [
        told_better(values).any()
        for values in boards(6, seeds, mixed if scatter == "mixed" else scatter, times=200)
    ]
    assert np.mean(found) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)


def test_five_points_are_mostly_told_by_three_seeds_that_scatter_by_one():
    found = [
        told_better(values)[0, 1:].mean()
        for values in boards(6, 3, 0.01, times=60, images=2000, gap=0.05)
    ]
    assert np.mean(found) > 0.8
