"""`regbench transfer`: other models' images are tried once, and count in the worst case."""

import json
import shutil

import pytest

from benchmark.ranking.both_sides import worst_cases
from benchmark.ranking.selection import selected_trials
from benchmark.ranking.standings import standings
from benchmark.records.registered import open_store
from registry.load import Registry

from ...files import write
from ..command import regbench

pytestmark = pytest.mark.slow

TRACK = """
name = "three"
title = "Three methods on digits"
dataset = "digits"
architectures = ["lenet_300_100"]
seeds = 1
threats = [{ attack = "pgd" }]
headline = "pgd-inf-0.1"
clean_floor = 0.5
test_examples = 100
measure_examples = 50
entry = [
    { regularizer = "none" },
    { regularizer = "jacobian", lambda = [0.1] },
    { regularizer = "adversarial_training", lambda = [0.1] },
]

[recipe]
batch_size = 64
learning_rate = 0.05
reference_epochs = 2
fine_tune_epochs = 2
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A home in which a track of three methods ran, and its registry."""
    folder = tmp_path_factory.mktemp("transfer")
    mine = folder / "mine"
    write(mine, "tracks/three.toml", TRACK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGBENCH_REGISTRY", str(mine))
        places = {"home": folder / "home", "results": folder / "results"}
        said = regbench("run", "three", "--workers", "1", **places)
        assert said.returncode == 0, said.stderr
        shutil.copytree(places["home"], folder / "untouched")
        yield places | {"untouched": folder / "untouched"}


def regbench_in(places, *arguments):
    said = regbench(*arguments, home=places["home"], results=places["results"])
    assert said.returncode == 0, said.stdout + said.stderr
    return said.stdout


def transferred(places):
    rows = json.loads(regbench_in(places, "transfer", "three", "--workers", "1", "--json"))
    return {row["regularizer"]: row for row in rows}


def outcomes(places):
    return {path.parent.name: path.read_text() for path in places["home"].glob("*/outcome.json")}


def test_images_of_others_are_tried_once_on_each_model_and_count_in_its_worst_case(ran):
    rows = transferred(ran)
    assert set(rows) == {"none", "jacobian", "adversarial_training"}
    assert rows["none"]["none"] is rows["adversarial_training"]["adversarial_training"] is None
    for row in rows.values():
        alone = [row[source] for source in ("none", "adversarial_training")]
        assert row["together"] <= min(share for share in alone if share is not None)
        assert row["images"] == 100
    assert 0 < rows["jacobian"]["together"] < 1

    kept = outcomes(ran)
    assert transferred(ran) == rows
    assert outcomes(ran) == kept  # nothing ran again

    registry, store = Registry(), open_store(ran["home"])
    track = registry.track("three")
    trials = [trial for _, trial in registry.select(["three"])]
    keys = {trial.key for trial in trials}
    groups = selected_trials(trials, standings(track, trials, store.scores(keys)))
    correct = store.examples(keys, "correct")
    worst = worst_cases(track, groups, correct, ["quick"] * len(groups))
    images = correct.set_index(["key", "threat"])["values"]
    for group in groups:
        (trial,) = group
        others = images[trial.key, "transfer-inf-0.1"]
        assert all(stands <= other for stands, other in zip(worst[trial.key], others, strict=True))
        assert sum(others) / 100 == pytest.approx(rows[trial.entry.regularizer]["together"])


def test_rows_go_into_the_registry_and_a_rerun_leaves_them_aside(ran, tmp_path):
    transferred(ran)
    regbench_in(ran, "export", "three")
    assert "transfer-inf-0.1" in (ran["results"] / "three.jsonl").read_text()
    regbench_in(ran | {"home": tmp_path / "home"}, "rerun", "three", "--workers", "1")


def test_nothing_is_tried_where_nothing_has_run_or_there_is_no_ball(tmp_path):
    places = {"home": tmp_path / "home", "results": tmp_path / "results"}
    said = regbench("transfer", "quickstart", **places)
    assert (said.returncode, said.stderr) == (0, "")
    assert "nothing to try" in said.stdout
    distances = [
        name
        for name in Registry().track_names
        if Registry().track(name).headline_threat.epsilon is None
    ]
    for name in distances[:1]:
        said = regbench("transfer", name, **places)
        assert said.returncode == 2
        assert "the headline threat has no epsilon" in said.stderr


def test_without_a_source_s_weights_what_needs_them_is_left_out(ran, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(ran["untouched"], home)
    (yardstick,) = (
        trial
        for _, trial in Registry().select(["three"])
        if trial.entry.regularizer == "adversarial_training"
    )
    (home / yardstick.key / "weights.safetensors").unlink()
    said = regbench("transfer", "three", home=home, results=tmp_path / "results")
    assert said.returncode == 0, said.stderr
    assert "3 trials are left out" in said.stderr
    assert "nothing to try" in said.stdout
