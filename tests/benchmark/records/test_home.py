"""A trial's folder: what a kill or a full disk leaves in it is never believed."""

import os

import pytest

from benchmark.evaluation.evaluate import Evaluated
from benchmark.records.home import TrialFolder, trial_folders
from benchmark.records.outcome import Epoch, Outcome, TrainingRecord
from registry.load import Registry
from registry.spec import Part
from registry.write import write_whole

PART = Part(name="pgd-inf-0.1", split="test", examples=50)
ROWS = Evaluated(scores=(), examples=(), seconds=1.5)
EPOCH = Epoch(
    phase="fine_tune",
    epoch=0,
    loss=float("inf"),
    penalty=0.5,
    accuracy=0.1,
    learning_rate=0.1,
)
RECORD = TrainingRecord(
    status="diverged", iterations=3, seconds=0.25, engine="sequential", epochs=(EPOCH,)
)


@pytest.fixture
def trial():
    return Registry().select(["digits/lenet_300_100/jacobian/0.1"], 1)[0][1]


@pytest.fixture
def folder(tmp_path, trial):
    """With everything in it that a trial writes."""
    folder = TrialFolder(tmp_path, trial.key)
    folder.finish(Outcome.of(trial, status="finished"))
    write_whole(folder.weights, b"weights")
    folder.believe(RECORD)
    folder.keep_part(PART, ROWS)
    return folder


def read(folder):
    return {
        "outcome.json": folder.outcome(),
        "training.json": folder.training(),
        "pgd-inf-0.1_test_50.json": folder.part(PART, Evaluated),
    }


def test_what_was_written_is_read_again(folder, trial):
    assert list(read(folder).values()) == [Outcome.of(trial, status="finished"), RECORD, ROWS]


@pytest.mark.parametrize("name", ["outcome.json", "training.json", "pgd-inf-0.1_test_50.json"])
@pytest.mark.parametrize("damage", [b"", b'{"status": "finis', b"\xff\xfe\x00", b"[]"])
def test_a_damaged_file_is_set_aside_and_counts_as_missing(folder, name, damage):
    (path,) = folder.path.rglob(name)
    path.write_bytes(damage)
    found = read(folder)
    assert found.pop(name) is None
    assert None not in found.values()
    assert not path.exists()
    assert path.with_suffix(".quarantined").read_bytes() == damage
    assert read(folder)[name] is None


def test_weights_without_their_record_are_not_trained(folder):
    assert folder.is_trained
    (folder.path / "training.json").unlink()
    assert not folder.is_trained


def test_new_weights_are_not_believed_by_the_record_of_old_ones(folder):
    """As where a run is killed between the two."""
    folder.believe(RECORD)
    write_whole(folder.weights, b"old")
    assert folder.is_trained
    folder.begin()
    write_whole(folder.weights, b"new")
    assert not folder.is_trained


def test_new_weights_forget_what_was_found_on_others(folder):
    folder.begin()
    assert folder.part(PART, Evaluated) is None


def test_an_outcome_takes_the_place_of_the_parts(folder, trial):
    folder.finish(Outcome.of(trial, status="finished"))
    assert sorted(os.listdir(folder.path)) == [
        "outcome.json",
        "training.json",
        "weights.safetensors",
    ]


def test_only_folders_with_an_outcome_are_collected(folder, tmp_path):
    (tmp_path / "cache").mkdir()
    TrialFolder(tmp_path, "0" * 16).believe(RECORD)
    assert [each.path for each in trial_folders(tmp_path)] == [folder.path]


def test_a_write_that_breaks_off_leaves_the_old_file_alone(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError("No space left on device")

    path = tmp_path / "new" / "file"
    write_whole(path, "old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == ["file"]


def test_two_lambdas_that_differ_in_the_seventh_digit_are_two_entries(trial):
    names = set()
    for strength in (0.1, 0.10000001):
        entry = trial.entry.model_copy(update={"strength": strength})
        outcome = Outcome.of(trial.model_copy(update={"entry": entry}), status="finished")
        assert outcome.entry_id == entry.id
        names.add(outcome.entry_id)
    assert len(names) == 2
