"""Moderated variances: what goes in by simulation comes out."""

import numpy as np
import pytest
from scipy import special

from benchmark.ranking.scatter import _inverse_trigamma, moderated


@pytest.mark.parametrize("argument", [1e-3, 0.1, 1.0, 7.0, 300.0, 1e5])
def test_the_trigamma_function_is_inverted(argument):
    value = float(special.polygamma(1, argument))
    assert _inverse_trigamma(value) == pytest.approx(argument, rel=1e-6)


@pytest.mark.parametrize(("common", "prior_freedom"), [(4.0, 6.0), (1e-4, 20.0)])
def test_the_common_variance_and_its_freedom_are_found_again(common, prior_freedom):
    chance = np.random.default_rng(0)
    true = common * prior_freedom / chance.chisquare(prior_freedom, 40000)
    observed = true * chance.chisquare(2, 40000) / 2
    variances, freedom = moderated(observed, np.full(40000, 2.0), most=1e6)
    assert freedom[0] == pytest.approx(2 + prior_freedom, rel=0.25)
    found = (variances * freedom - 2 * observed) / (freedom - 2)
    assert found == pytest.approx(np.full(40000, common), rel=0.1)


def test_variances_that_are_alike_are_one_with_all_degrees_of_freedom():
    observed = np.array([1.0, 1.1, 0.9, 1.0, 1.05])
    variances, freedom = moderated(observed, np.full(5, 4.0), most=20.0)
    assert freedom.tolist() == [24.0] * 5
    assert np.ptp(variances) < np.ptp(observed) / 4


def test_a_single_variance_stays_as_it_is():
    variances, freedom = moderated(np.array([2.0]), np.array([3.0]), most=3.0)
    assert (variances[0], freedom[0]) == (2.0, 3.0)


def test_without_a_value_of_its_own_an_entry_has_the_common_variance():
    observed = np.array([1.0, 1.2, np.nan])
    variances, freedom = moderated(observed, np.array([2.0, 2.0, 0.0]), most=4.0)
    assert variances[2] == pytest.approx(np.sqrt(1.2) * np.exp(-special.psi(1)))
    assert freedom[2] == 4.0


def test_where_nothing_is_known_nothing_is_said():
    variances, freedom = moderated(np.array([np.nan]), np.array([0.0]), most=0.0)
    assert np.isnan(variances[0])
    assert freedom[0] == 0
