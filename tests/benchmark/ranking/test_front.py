"""What nothing beats, against a comparison of every pair."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.ranking.front import undominated

SCORES = st.sampled_from([0.0, 0.25, 0.5, 1.0, float("nan"), float("inf")])


def beats(one, other):
    pairs = list(zip(one, other))
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


@given(st.lists(st.tuples(SCORES, SCORES, SCORES), max_size=9))
def test_a_point_is_on_the_front_where_no_other_beats_it(points):
    known = [point for point in points if np.isfinite(point).all()]
    expected = [
        point in known and not any(beats(other, point) for other in known) for point in points
    ]
    columns = np.array(points).reshape(-1, 3).T
    assert undominated(*columns).tolist() == expected


def test_scores_of_unequal_length_are_no_points():
    with pytest.raises(ValueError, match="shape"):
        undominated([1, 2], [1])
