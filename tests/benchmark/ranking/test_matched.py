"""Where two methods cost the same clean accuracy."""

import numpy as np
import pandas as pd
import pytest

from benchmark.ranking.matched import Between

GRID = [0.1, 0.2, 0.4]


def test_where_accuracy_falls_it_is_numpys_interpolation():
    clean, robust = np.array([0.9, 0.8, 0.6]), np.array([0.1, 0.3, 0.4])
    for target in (0.9, 0.85, 0.8, 0.75, 0.6):
        place = Between.where(GRID, clean, target)
        at = [pd.Series({0: robust[GRID.index(end)]}) for end in (place.low, place.high)]
        expected = np.interp(target, clean[::-1], robust[::-1])
        assert place.value(*at)[0] == pytest.approx(expected)


@pytest.mark.parametrize("target", [0.95, 0.55])
def test_a_method_that_never_costs_so_much_or_so_little_is_nowhere(target):
    assert Between.where(GRID, [0.9, 0.8, 0.6], target) is None
    assert Between.where([0.1], [0.9], 0.9) is None


def test_of_several_places_it_is_the_strongest():
    place = Between.where([0.1, 0.2, 0.4, 0.8], [0.8, 0.9, 0.8, 0.6], 0.85)
    assert (place.low, place.high, place.share) == (0.2, 0.4, pytest.approx(0.5))
    assert Between.where(GRID, [0.9, 0.9, 0.9], 0.9) == Between(0.2, 0.4, 0.0)


def test_a_value_is_of_the_seeds_that_both_have():
    place = Between(0.1, 0.2, 0.25)
    found = place.value(pd.Series({0: 1.0, 1: 2.0}), pd.Series({1: 4.0, 2: 8.0})).dropna()
    assert found.to_dict() == {1: 2.5}
