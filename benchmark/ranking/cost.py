"""What a method costs: its training time as a multiple of the control's."""

from __future__ import annotations

from typing import Any

import pandas as pd


def relative_costs(rows: pd.DataFrame, by: list[str]) -> dict[Any, float]:
    """Median training time of each group's finished trials, as a multiple of that of `none` on the
    same network and device.

    Times of two devices do not compare. So a ratio is taken on the device on which most trials of
    the network were trained one by one; of a method that was not trained there, on the next. A
    registered training counts beside one of the same trial that ran here: a control that ran on
    another device takes no method's cost away. A method whose trials were all trained in stacks has
    none.

    Args:
        rows: as `sweep.labelled` gives them.
        by: the columns that name a group.
    """
    finished = rows[rows["status"] == "finished"]
    registered = finished.assign(
        seconds_alone=finished["registered_seconds"], trained_on=finished["registered_on"]
    )
    both = pd.concat([finished, registered]).dropna(subset="seconds_alone")
    both = both.assign(trained_on=both["trained_on"].fillna(""))
    trials = both.drop_duplicates(["key", *by, "seconds_alone", "trained_on"])
    found: dict[Any, float] = {}
    for _, mine in trials.groupby("architecture"):
        devices = mine["trained_on"].value_counts()
        for device in sorted(devices.index, key=lambda device: (-devices[device], device)):
            there = mine[mine["trained_on"] == device]
            control = there.loc[there["regularizer"] == "none", "seconds_alone"].median()
            if pd.isna(control):
                continue
            for name, seconds in there.groupby(by)["seconds_alone"].median().items():
                found.setdefault(name, seconds / control)
    return found
