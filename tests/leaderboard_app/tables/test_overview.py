"""What came in last, and how the columns of the overview stand."""

import numpy as np
import pandas as pd
import pytest

from leaderboard_app.tables import overview
from leaderboard_app.words.labels import width
from registry.load import Registry

KNOWN = Registry()
TRIALS = {
    name: [trial for _, trial in KNOWN.select([name])] for name in ("quickstart", "roth-fashion")
}


def started(when) -> pd.DataFrame:
    """First runs as the store gives them; `when(track, trial)` dates them, None: it has not run."""
    dates = {
        trial.key: date
        for name, mine in TRIALS.items()
        for trial in mine
        if (date := when(name, trial))
    }
    return pd.DataFrame({"key": list(dates), "started": list(dates.values())})


def test_what_is_new_is_told_by_day_and_track_the_newest_first():
    def when(track, trial):
        if track == "quickstart":
            return f"2026-01-0{trial.seed + 1}T10:00:00+00:00"
        mine = trial.entry.regularizer == "none" and trial.seed == 0
        return "2026-02-01T00:00:00+00:00" if mine else None

    first, *others = overview.news(TRIALS, started(when), {"lenet_300_100": "LeNet [300]"})
    assert first.startswith("2026-02-01: **roth\\-fashion**, 1 trial of 1 method, 1 seed, on ")
    a_day = {trial.key for trial in TRIALS["quickstart"] if trial.seed == 0}
    methods = {trial.entry.regularizer for trial in TRIALS["quickstart"]}
    told = f"{len(a_day)} trials of {len(methods)} methods, 1 seed, on LeNet \\[300\\]"
    assert others == [f"2026-01-0{day}: **quickstart**, {told}" for day in (3, 2, 1)]


def test_the_news_are_few_and_rows_without_a_date_are_none():
    many = started(lambda track, trial: f"2026-01-{1 + int(trial.key[:4], 16) % 28:02}T00")
    assert len(overview.news(TRIALS, many, {})) == overview.NEWS
    assert overview.news(TRIALS, started(lambda track, trial: ""), {}) == []
    assert overview.news(TRIALS, pd.DataFrame(), {}) == []


def standings(track, scores, costs):
    """Network → method → score; network → method → cost: a board on which all are ranked."""
    rows = [
        {"architecture": network, "regularizer": method, track.ranking: score}
        | {"rank": 1, "rank_high": 1, "cost": costs[network][method]}
        for network, mine in scores.items()
        for method, score in mine.items()
    ]
    return pd.DataFrame(rows)


def test_a_track_of_many_networks_counts_as_one():
    one, two = KNOWN.track("quickstart"), KNOWN.track("guo-fashion-binary")
    none = {"none": 0.5, "jacobian": 0.6}
    cheap, dear = {"none": 1.0, "jacobian": 2.0}, {"none": 1.0, "jacobian": 6.0}
    boards = {
        "one": (one, standings(one, {"a": none}, {"a": cheap})),
        "two": (
            two,
            standings(
                two,
                {"a": {"none": 0.5, "jacobian": 0.7}, "b": {"none": 0.5, "jacobian": 0.9}},
                {"a": dear, "b": dear},
            ),
        ),
    }
    found = overview.of_methods(boards).set_index("Method").loc["jacobian"]
    assert found["Above none"] == pytest.approx((10 + (20 + 40) / 2) / 2)
    assert found["Cost ×"] == pytest.approx((2 + 6) / 2)
    assert np.isnan(found["Above adversarial_training"])
    assert (found["one"], found["two"]) == ("1", "1 · 1")


def test_what_answers_stands_before_what_describes():
    tracks = {name: KNOWN.track(name) for name in TRIALS}
    table = overview.of_tracks(tracks, TRIALS, started(lambda *_: "2026-01-01T00"), {})
    columns = list(table)
    assert columns[:5] == ["Track", "Newest row", "Done", "Trials", "Seeds"]
    assert columns[-3:] == ["Data", "Ranked by", "Networks"]
    assert width(table["Track"]) >= 7 * len("roth-fashion")
