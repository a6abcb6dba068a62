"""A rerun is judged by its cause, and by what rounding does to its trial."""

import math

import numpy as np
import pytest

from benchmark.execution.judgement import at_first_sight, by_spread
from benchmark.execution.rounding import Spread
from benchmark.records.outcome import Outcome, Score

HERE = {"device_name": "a", "processor": "stepping 1", "deterministic": True}
THERE = HERE | {"processor": "stepping 2"}


def outcome(value=0.92, where=HERE, status="finished", n=1000, loss=0.5, distance=0.1):
    common = {"split": "test", "examples": n, "n": n}
    scores = (
        Score(threat="clean", metric="accuracy", value=value, **common),
        Score(threat="clean", metric="loss", value=loss, **common),
        Score(threat="deepfool-2", metric="relative_distance", value=distance, **common),
    )
    return Outcome(
        key="k",
        dataset="d",
        architecture="a",
        regularizer="r",
        strength=0.1,
        seed=0,
        spec={"seed": 0},
        status=status,
        scores=scores,
        provenance=where,
    )


@pytest.mark.parametrize(
    ("fresh", "verdict"),
    [
        (outcome(), "exact"),
        (outcome(where=THERE), "exact"),
        (outcome(value=0.93), "drifted"),  # the same device and versions: nothing excuses it
        (outcome(loss=0.4999), "drifted"),
        (outcome(distance=0.1 + 1e-8), "drifted"),
        (outcome(status="diverged"), "drifted"),
        (outcome(loss=0.4999, where=THERE), "within rounding"),  # no judged score has moved
        (outcome(distance=0.1 + 1e-8, where=THERE), "within rounding"),  # float32's last digits
        (outcome(status="failed", where=THERE), "drifted"),
    ],
)
def test_a_row_that_needs_no_knowledge_of_rounding_is_judged_by_its_cause(fresh, verdict):
    found = at_first_sight(outcome(), fresh)
    assert found.verdict == verdict
    assert bool(found.why) == (verdict != "exact")


@pytest.mark.parametrize(
    "fresh",
    [
        outcome(value=0.93, where=THERE),
        outcome(distance=0.1001, where=THERE),
        outcome(status="diverged", where=THERE),
        outcome(value=0.93, where={**HERE, "deterministic": False}),
    ],
)
def test_elsewhere_a_score_that_moved_is_left_to_what_rounding_does(fresh):
    assert at_first_sight(outcome(), fresh) is None


def test_a_row_that_names_no_processor_may_be_of_another():
    old = {"device_name": "a", "deterministic": True}
    assert at_first_sight(outcome(where=old), outcome(value=0.93)) is None
    found = by_spread(outcome(where=old), outcome(value=0.93), Spread(flips=1.0), [])
    assert "registered without the processor's name" in found.why
    assert at_first_sight(outcome(where=old), outcome()).verdict == "exact"


def test_a_score_is_judged_by_the_spread_of_its_own_kind():
    chaotic = {("deepfool-2", "test", "relative_distance", 1000): 0.05}
    far = outcome(distance=0.11, where=THERE)
    assert by_spread(outcome(), far, Spread(), []).verdict == "drifted"
    found = by_spread(outcome(), far, Spread(distances=chaotic), [])
    assert found.verdict == "within rounding"
    assert (found.spread, found.drift) == (pytest.approx(0.005), pytest.approx(2.0))
    flipped = outcome(value=0.90, distance=0.11, where=THERE)
    assert by_spread(outcome(), flipped, Spread(distances=chaotic), []).verdict == "drifted"


def test_a_score_that_is_no_number_any_more_has_drifted_whatever_the_spread():
    found = by_spread(outcome(), outcome(distance=math.nan, where=THERE), Spread(flips=9.0), [])
    assert (found.verdict, found.drift) == ("drifted", math.inf)


def test_a_trial_that_diverges_or_not_by_its_last_bits_has_not_drifted():
    ends = outcome(status="diverged", where=THERE)
    assert by_spread(outcome(), ends, Spread(), [ends, ends]).verdict == "drifted"
    found = by_spread(outcome(), ends, Spread(), [ends, outcome()])
    assert found.verdict == "within rounding"
    assert "diverged instead of finished" in found.why


@pytest.mark.parametrize(("trials", "most"), [(1, 0.03), (2, 0.006)])
def test_where_rounding_is_all_hardly_a_distance_is_told_to_have_drifted(trials, most):
    chance, repeats = np.random.default_rng(trials), 1000
    drifted = 0
    for _ in range(repeats):
        runs = [
            [outcome(distance=value) for value in 1 + 0.001 * chance.normal(size=3)]
            for _ in range(trials)
        ]
        row = outcome(distance=1 + 0.001 * chance.normal())
        fresh = runs[0][-1].model_copy(update={"provenance": THERE})
        drifted += by_spread(row, fresh, Spread.of(runs), []).verdict == "drifted"
    assert drifted / repeats <= most
