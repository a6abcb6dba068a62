"""The findings tell of the two ends of robustness where they meet, and what that is worth."""

import pandas as pd

from benchmark.ranking.paper_claims import proven


def both(**ends):
    """Method → (certified, worst) at ε = 0.1 and at 0.2."""
    return pd.DataFrame(
        [
            {"method": method, "epsilon": epsilon, "certified": low, "worst": high, "seeds": 3}
            for method, pairs in ends.items()
            for epsilon, (low, high) in zip((0.1, 0.2), pairs)
        ]
    )


def test_what_is_proven_most_is_set_beside_what_stands_best():
    said = proven.said(
        both(
            none=[(0.9, 0.92), (0.0, 0.3)],
            decay=[(0.9, 0.93), (0.4, 0.5)],
            attacked=[(0.85, 0.95), (0.1, 0.8)],
        )
    )
    assert "At ε = 0.1 the ends are within 2 points of each other for 1 of 3 methods." in said
    assert (
        "The proven share gains most at ε = 0.2: from 0.0 % with none to 40.0 % with decay." in said
    )
    most, best = "decay (40.0–50.0)", "attacked (10.0–80.0)"
    assert said.endswith(f"the most images proven, {most}, and another the most unbroken, {best}.")


def test_nothing_is_said_of_a_gain_that_there_is_not():
    said = proven.said(both(none=[(0.9, 0.9), (0.5, 0.6)], worse=[(0.8, 0.9), (0.4, 0.5)]))
    assert said == "At ε = 0.1 the ends are within 2 points of each other for 1 of 2 methods."


def test_without_a_control_no_gain_is_told():
    assert "gains" not in proven.said(both(decay=[(0.9, 0.93), (0.4, 0.5)]))


def test_where_nothing_is_proven_no_ends_are_counted():
    said = proven.said(both(none=[(0.0, 0.01), (0.0, 0.0)], decay=[(0.0, 0.9), (0.0, 0.5)]))
    assert said == "Linear bounds prove nothing of any method at these ε."
