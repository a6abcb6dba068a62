"""A cost is a ratio within one device."""

import math

import pandas as pd
import pytest

from benchmark.ranking.cost import relative_costs
from benchmark.ranking.sweep import METHOD


def rows(*trials):
    """Of (network, method, seconds, device), each with two scores."""
    columns = ["architecture", "regularizer", "seconds_alone", "trained_on"]
    table = pd.DataFrame(trials, columns=columns)
    table = table.assign(key=table.index.astype(str), status="finished")
    table = table.assign(registered_seconds=math.nan, registered_on=None)
    return pd.concat([table, table], ignore_index=True)


def test_times_of_two_devices_are_not_mixed():
    found = relative_costs(
        rows(
            *(("small", "none", seconds, "cpu") for seconds in (9.0, 10.0, 12.0)),
            *(("small", "jacobian", seconds, "cpu") for seconds in (29.0, 30.0, 31.0)),
            *(("small", "none", 0.1, "gpu"), ("small", "jacobian", 0.9, "gpu")),
            ("small", "trades", 0.8, "gpu"),
            ("small", "elle", 7.0, "another"),
            ("large", "none", 100.0, "gpu"),
            ("large", "jacobian", 700.0, "gpu"),
        ),
        METHOD,
    )
    assert found == {
        ("small", "none"): 1,
        ("small", "jacobian"): 3,
        ("small", "trades"): pytest.approx(8),  # was trained on the other device alone
        ("large", "none"): 1,
        ("large", "jacobian"): 7,
    }


def test_a_share_of_a_stack_is_no_cost():
    stacked = [("small", method, None, "gpu") for method in ("none", "jacobian", "elle")]
    alone = [("small", "none", 10.0, "cpu"), ("small", "jacobian", 30.0, "cpu")]
    found = relative_costs(rows(*stacked, *alone), METHOD)
    assert found == {("small", "none"): 1, ("small", "jacobian"): 3}
    assert relative_costs(rows(*stacked), METHOD) == {}


def test_trials_that_diverged_and_devices_that_nobody_recorded():
    table = rows(("small", "none", 2.0, None), ("small", "jacobian", 5.0, None))
    late = rows(("small", "jacobian", math.nan, None)).assign(status="diverged", key="late")
    found = relative_costs(pd.concat([table, late]), METHOD)
    assert found == {("small", "none"): 1, ("small", "jacobian"): 2.5}


def test_a_control_that_ran_here_takes_no_registered_cost_away():
    registered = rows(("small", "none", 10.0, "theirs"), ("small", "jacobian", 30.0, "theirs"))
    here = (registered["regularizer"] == "none").to_numpy()
    seconds, device = registered["seconds_alone"], registered["trained_on"]
    table = registered.assign(
        seconds_alone=seconds.mask(here, 4.0),
        trained_on=device.mask(here, "mine"),
        registered_seconds=seconds,
        registered_on=device,
    )
    own = rows(("small", "my_method", 8.0, "mine")).assign(key="own")
    found = relative_costs(pd.concat([table, own]), METHOD)
    assert found == {
        ("small", "none"): 1,
        ("small", "jacobian"): 3,
        ("small", "my_method"): 2,
    }
