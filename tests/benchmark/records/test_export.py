"""What `regbench export` writes: the track's rows, whole, ordered, and under one protocol."""

import shutil

import numpy as np
import pytest

from benchmark.records import registered, rows
from benchmark.records.export import (
    SAMPLED_SEEDS,
    check_protocol,
    export,
    export_selection,
    protocol,
    reduced,
)
from benchmark.records.home import TrialFolder, trial_folders
from benchmark.records.outcome import Examples, Outcome, Score
from registry.load import Registry
from registry.spec import InputError

from ..command import regbench

pytestmark = pytest.mark.slow


def test_rows_are_ordered_whole_and_a_second_export_changes_nothing(ran, tmp_path, monkeypatch):
    home, results = ran
    monkeypatch.setenv("REGBENCH_HOME", str(home))
    monkeypatch.setenv("REGBENCH_RESULTS", str(shutil.copytree(results, tmp_path / "results")))
    path = tmp_path / "results" / "quickstart.jsonl"
    before = path.read_bytes()
    assert export_selection(Registry().select(["quickstart"])) == {"quickstart": (3, 0)}
    assert path.read_bytes() == before
    found = list(registered.outcomes(path))
    assert [outcome.key for outcome in found] == sorted(outcome.key for outcome in found)
    for outcome in found:
        whole = TrialFolder(home, outcome.key).sound_outcome()
        assert outcome.model_dump(exclude={"examples"}) == whole.model_dump(exclude={"examples"})
        assert max(len(column.values) for column in outcome.examples) <= 360


def test_a_row_of_fewer_parts_replaces_no_registered_one(ran, tmp_path):
    home, results = ran
    track = Registry().track("quickstart")
    trials = [trial for _, trial in Registry().select(["quickstart"], 1)]
    shutil.copytree(results, tmp_path / "results")
    for folder in trial_folders(home):
        outcome = folder.sound_outcome()
        clean = {"scores": outcome.scores[:2], "examples": ()}
        TrialFolder(tmp_path / "home", outcome.key).finish(outcome.model_copy(update=clean))
    assert export(track, trials, tmp_path / "home", tmp_path / "results") == (3, 0)
    with pytest.raises(
        InputError, match="nothing of track quickstart has run"
    ):  # nor is one registered
        export(track, trials, tmp_path / "home", tmp_path / "another")


def test_images_no_longer_certified_hold_no_new_row_back(ran, tmp_path):
    home, results = ran
    path = tmp_path / "quickstart.jsonl"
    certified = Score(
        threat="certified-inf-0.1",
        split="test",
        metric="certified_accuracy",
        value=0.5,
        n=8,
        examples=8,
    )
    before = list(registered.outcomes(results / "quickstart.jsonl"))
    rows.write(path, [o.model_copy(update={"scores": (*o.scores, certified)}) for o in before])
    track = Registry().track("quickstart")
    trials = [trial for _, trial in Registry().select(["quickstart"], 1)]
    assert export(track, trials, home, tmp_path) == (3, 3)
    assert list(registered.outcomes(path)) == before


@pytest.mark.parametrize("text", ["<<<<<<< ours", "[]", '{"quickstart": 1}'])
def test_a_damaged_table_of_protocols_is_one_line(ran, tmp_path, text):
    (tmp_path / "protocols.json").write_text(text)
    with pytest.raises(InputError, match=r"protocols\.json: is no table of protocols .*take it"):
        check_protocol(Registry().track("quickstart"), tmp_path)


def test_both_sides_of_robustness_are_kept_of_every_seed():
    track = Registry().track("digits-binary")
    selected = Registry().select(["digits-binary"])
    trial = next(one for _, one in selected if one.seed == SAMPLED_SEEDS)
    (extended,) = track.with_tiers([trial])
    *bounds, nearest = track.certificates(360)
    distances = tuple(np.linspace(0.012345678, 1, nearest.examples).tolist())
    both = [
        Examples(metric=metric, threat=part.name, split="test", examples=part.examples, values=v)
        for part, metric, v in [
            (nearest, "distance", distances),
            (bounds[0], "certified", (1.0,) * bounds[0].examples),
        ]
    ]
    clean = Examples(metric="loss", threat="clean", split="test", examples=360, values=(0.5,) * 360)
    outcome = Outcome.of(trial, status="finished", examples=(*both, clean))
    assert reduced(outcome, track, extended.evaluation).examples == tuple(both)


def test_a_changed_protocol_needs_a_new_version(ran):
    _, results = ran
    track = Registry().track("quickstart")
    check_protocol(track, results)
    for same in (
        {"notes": "other words"},
        {"seeds": 7},
        {"entry": track.entry[:2]},
        {"certified_examples": 9},
    ):
        assert protocol(track.model_copy(update=same)) == protocol(track)
    for other in (
        {"clean_floor": 0.5},
        {"recipe": track.recipe.model_copy(update={"batch_size": 32})},
        {"threats": track.threats[:3]},
        {"dataset": "digits:1,8"},
    ):
        with pytest.raises(InputError, match="put the new one under the name quickstart@2"):
            check_protocol(track.model_copy(update=other), results)


def test_nothing_that_ran_is_nothing_to_export(tmp_path):
    result = regbench("export", "quickstart", home=tmp_path, results=tmp_path / "results")
    assert result.returncode == 2
    assert "`regbench run quickstart` does" in result.stderr
