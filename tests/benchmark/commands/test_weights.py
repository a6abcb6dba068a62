"""weights push, weights pull: from one machine's home to another's, where nothing trains again."""

import pytest
import torch

import benchmark
from benchmark.records.home import TrialFolder, sole_runner
from benchmark.records.weights import WeightsStore
from benchmark.trials.run import run_trial
from registry.load import Registry
from registry.spec import InputError, Part, Threat, Unavailable

from ..command import regbench

ENTRY = "digits/lenet_300_100/jacobian/0.1"
NEW = Part(
    name="fgsm-inf-0.05",
    split="test",
    examples=100,
    threat=Threat(attack="fgsm", epsilon=0.05),
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A home in which one trial and its reference have trained."""
    home = tmp_path_factory.mktemp("trained")
    _, trial = Registry().select([ENTRY], seeds=1)[0]
    without = trial.model_copy(update={"evaluation": trial.evaluation[:1]})
    run_trial(without.reference, home)
    run_trial(without, home)
    return home


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("REGBENCH_WEIGHTS", str(tmp_path / "store"))
    return tmp_path / "store"


def test_a_new_threat_runs_on_pulled_weights_without_training(trained, store, home, monkeypatch):
    monkeypatch.setenv("REGBENCH_HOME", str(trained))
    pushed = regbench("weights", "push", ENTRY)
    assert "2 pushed, 0 there already, 4 not trained here" in pushed.stdout, pushed.stderr
    assert "0 pushed, 2 there already" in regbench("weights", "push", ENTRY).stdout
    monkeypatch.setenv("REGBENCH_HOME", str(home))
    pulled = regbench("weights", "pull", ENTRY, "--seeds", "1")
    assert (pulled.returncode, pulled.stderr) == (0, "")
    assert "2 pulled, 0 here already" in pulled.stdout
    _, trial = Registry().select([ENTRY], seeds=1)[0]
    here, there = TrialFolder(home, trial.key), TrialFolder(trained, trial.key)
    written = here.weights.stat().st_mtime_ns
    outcome = run_trial(trial.model_copy(update={"evaluation": (NEW,)}), home)
    assert outcome.status == "finished"
    assert NEW.id in outcome.parts
    assert here.weights.stat().st_mtime_ns == written
    assert outcome.train_seconds == there.outcome().train_seconds


def test_a_control_that_the_store_lacks_is_not_made_up_for_by_its_reference(
    trained, store, home, monkeypatch
):
    """Both go by one name."""
    _, trial = Registry().select(["digits/lenet_300_100/none/0"], seeds=1)[0]
    monkeypatch.setenv("REGBENCH_HOME", str(trained))
    WeightsStore(str(store)).push(trial.reference, trained)
    monkeypatch.setenv("REGBENCH_HOME", str(home))
    said = regbench("weights", "pull", trial.entry.id, "--seeds", "1")
    assert said.returncode == 1
    assert "1 pulled, 0 here already" in said.stdout
    assert "lacks 1 of 2 trials" in said.stderr


def test_nothing_is_pulled_into_a_home_in_which_a_run_goes_on(trained, store, home, monkeypatch):
    monkeypatch.setenv("REGBENCH_HOME", str(trained))
    regbench("weights", "push", ENTRY)
    monkeypatch.setenv("REGBENCH_HOME", str(home))
    with sole_runner(home):
        said = regbench("weights", "pull", ENTRY, "--seeds", "1")
    assert said.returncode == 1
    assert "is running trials there" in said.stderr
    assert not list(home.glob("*/weights.safetensors"))


def test_what_the_store_lacks_is_one_line_and_exit_code_1(store, home):
    said = regbench("weights", "pull", ENTRY, "--seeds", "1")
    assert said.returncode == 1
    assert f"lacks 2 of 2 trials, the first {ENTRY} seed 0" in said.stderr
    assert len(said.stderr.splitlines()) == 1


def test_nothing_to_push_and_no_store_are_one_line_and_exit_code_2(store, home, monkeypatch):
    assert "none of the 6 trials is trained in" in regbench("weights", "push", ENTRY).stderr
    monkeypatch.delenv("REGBENCH_WEIGHTS")
    said = regbench("weights", "push", ENTRY)
    assert said.returncode == 2
    assert said.stderr.startswith("regbench: REGBENCH_WEIGHTS is not set; name the store")
    assert len(said.stderr.splitlines()) == 1


def test_a_model_is_loaded_by_its_entry_from_the_store_and_is_the_one_that_was_trained(
    trained, store, home, monkeypatch
):
    monkeypatch.setenv("REGBENCH_HOME", str(trained))
    regbench("weights", "push", ENTRY)
    mine = benchmark.load_model(ENTRY, seed=0)
    monkeypatch.setenv("REGBENCH_HOME", str(home))
    model = benchmark.load_model("quickstart/lenet_300_100/jacobian/0.1", seed=0)
    assert not model.training
    x = torch.rand(5, 1, 8, 8)
    assert torch.equal(model(x), mine(x))


@pytest.mark.parametrize(
    ("entry", "kind", "expected"),
    [
        ("digits/lenet_300_100/jacobian/0.15", InputError, "the nearest is 'digits/lenet_300"),
        ("quickstart", InputError, "'quickstart' is no entry; name data set"),
        ("digits/lenet_300_100/jacobian/*", InputError, "is no entry; name data set"),
        (ENTRY, Unavailable, "store: lacks digits/lenet_300_100/jacobian/0.1 seed 0"),
    ],
)
def test_a_model_that_is_not_there_is_one_line(store, home, entry, kind, expected):
    with pytest.raises(kind, match=expected) as refused:
        benchmark.load_model(entry)
    assert len(str(refused.value).splitlines()) == 1


def test_an_entry_that_two_tracks_train_differently_asks_for_the_track():
    _, trial = Registry().select(["guo-fashion"], seeds=1)[0]
    everything = Registry().select([trial.entry.id], seeds=1)
    keys = {one.key: track.name for track, one in everything}
    assert len(keys) > 1
    with pytest.raises(InputError, match=r"is trained differently in the tracks .*guo-fashion"):
        benchmark.load_model(trial.entry.id)
