"""Broken images in the worst case: what falls, and who is named."""

import numpy as np
import pandas as pd
import pytest
import torch

from benchmark.ranking.board import board
from benchmark.ranking.challenges import fell, with_refuted
from benchmark.records import open_store
from benchmark.records.challenges import ACCEPTED, Acceptance, Accepted, Ball, digest, read
from registry.load import Registry
from registry.places import CHALLENGES

from .. import challenge_files as files

TRACK = Registry().track("quickstart")
BALL = Ball(norm="inf", epsilon=0.1)


def challenge(author, images, key="a", ball=BALL):
    return Accepted(author, key, "weights", ball, images)


def test_only_images_that_all_attacks_and_earlier_challenges_left_are_counted():
    worst = {"a": np.array([1.0, 1.0, 0.0, 1.0]), "b": np.ones(4)}
    first, second = challenge("Ada", (0, 2, 9)), challenge("Eve", (0, 3))
    found, fallen = fell(TRACK, worst, [first, second])
    assert found["a"].tolist() == [0, 1, 0, 0]
    assert found["b"].tolist() == worst["b"].tolist() == [1, 1, 1, 1]
    assert worst["a"].tolist() == [1, 1, 0, 1]
    assert fallen == {"a": {"Ada": 1, "Eve": 1}}


@pytest.mark.parametrize(
    "given",
    [
        challenge("Ada", (2,)),
        challenge("Ada", (0,), key="c"),
        challenge("Ada", (0,), ball=Ball(norm="inf", epsilon=0.2)),
        challenge("Ada", (0,), ball=Ball(norm="2", epsilon=0.1)),
    ],
)
def test_nothing_new_another_trial_and_another_ball_change_nothing(given):
    worst = {"a": np.array([1.0, 1.0, 0.0])}
    found, fallen = fell(TRACK, worst, [given])
    assert found["a"].tolist() == [1, 1, 0]
    assert fallen == {}


def test_a_row_whose_certificate_a_challenge_refutes_is_flagged_and_not_ranked():
    trials = {trial.entry.regularizer: trial for _, trial in Registry().select(["quickstart"], 1)}
    groups = [[trials["none"]], [trials["jacobian"]], [trials["curvature"]]]
    table = pd.DataFrame({"flags": ["", "", "randomised"], "why": ["", "", "flagged: so"]})
    certified = {group[0].key: np.array([1.0, 0.0, 1.0, 0.0]) for group in groups}
    given = [
        challenge("Ada", (1, 3), key=groups[0][0].key),  # of what nobody has proven
        challenge("Ada", (0, 1), key=groups[1][0].key),
        challenge("Eve", (0,), key=groups[1][0].key, ball=Ball(norm="inf", epsilon=0.2)),
        challenge("Eve", (0, 2, 99), key=groups[2][0].key),
    ]
    found = with_refuted(TRACK, groups, table, certified, given)
    flag = "certified_and_broken"
    assert found["flags"].tolist() == ["", flag, f"randomised, {flag}"]
    assert found["why"][0] == ""
    assert found["why"][1] == (
        "flagged: 25 % of the images are certified and yet broken (1 of 1 seeds)"
    )
    assert found["why"][2].startswith("flagged: so; 50 % of the images")
    assert table["flags"].tolist() == ["", "", "randomised"]


@pytest.mark.slow
def test_where_the_worst_case_ranks_the_rank_falls_by_itself(tmp_path, home, monkeypatch):
    """A challenge that broke 300 of 360 images on one of three seeds."""
    monkeypatch.setenv("REGBENCH_RESULTS", str(files.registered_rows(tmp_path / "results")))
    monkeypatch.setenv("REGBENCH_SUBMISSIONS", str(tmp_path / "submissions"))
    track = TRACK.model_copy(update={"ranks_by": "worst_case"})
    trials = [trial for _, trial in Registry().select(["quickstart"])]

    def ranked():
        table = board(track, trials, open_store()).set_index("regularizer")
        return table[["rank", "rank_high", "worst", "challenged"]].to_dict("index")

    before = ranked()
    places, images = torch.arange(300), torch.zeros(300, 1, 8, 8)
    folder = files.write(tmp_path / "submissions" / CHALLENGES / "many", places, images)

    def accept(weights):
        found = Acceptance(
            sha256=digest(folder), weights_sha256=weights, data_sha256="", images=tuple(range(300))
        )
        (folder / ACCEPTED).write_text(found.model_dump_json())

    key = read(folder).key
    accept("those of another training")
    assert ranked() == before
    accept(open_store().weights([key]).get(key, ""))
    after = ranked()
    assert before[files.METHOD]["rank"] == 1
    assert after[files.METHOD]["worst"] < before[files.METHOD]["worst"] - 0.1
    assert after[files.METHOD]["rank_high"] > before[files.METHOD]["rank_high"]
    assert after[files.METHOD]["challenged"].startswith("Ada (")
    others = [name for name in before if name != files.METHOD]
    assert [after[name]["worst"] for name in others] == [before[name]["worst"] for name in others]
