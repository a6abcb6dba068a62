"""What the largest gap of two methods is called."""

import pandas as pd
import pytest

from leaderboard_app.words.verdicts import largest_gap
from registry.load import Registry


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ((0.16448, 0.16484), ("**0.04 %**", "`b` 16.48 %, `a` 16.45 %")),
        ((0.72, 0.69), ("**3.0 %**", "`a` 72.0 %, `b` 69.0 %")),
        ((0.5, 0.5), ("**0.0 %**", "`a` 50.0 %, `b` 50.0 %")),
    ],
)
def test_the_largest_gap_has_as_many_digits_as_tell_the_two_apart(ends, said):
    first, second = ends
    row = {"column": "clean", "matched": 0.1, "first": first, "second": second, "seeds": 3}
    gap = pd.Series(row | {"difference": first - second})
    found = largest_gap(Registry().track("quickstart"), gap, ("a", "b"), "%")
    assert all(part in found for part in said)
