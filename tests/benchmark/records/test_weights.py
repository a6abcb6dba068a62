"""The store of trained weights: what was pushed is pulled bit by bit, and nothing else is."""

import json

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from benchmark.records.home import TrialFolder
from benchmark.records.outcome import TrainingRecord
from benchmark.records.weights import WeightsStore, weights_store
from registry.load import Registry
from registry.spec import InputError, Unavailable
from registry.write import write_whole

RECORD = TrainingRecord(
    status="finished", iterations=3, seconds=0.25, engine="sequential", epochs=()
)


@pytest.fixture
def trial():
    return Registry().select(["digits/lenet_300_100/jacobian/0.1"], 1)[0][1]


@pytest.fixture(params=["folder", "memory"])
def url(request, tmp_path):
    yield str(tmp_path / "store") if request.param == "folder" else "memory://weights/of-tests"
    fsspec.filesystem("memory").store.clear()


def trained(home, trial, weights):
    folder = TrialFolder(home, trial.key)
    write_whole(folder.weights, weights)
    folder.believe(RECORD)
    return home


def test_pushed_weights_are_pulled_into_another_home_and_count_as_trained(url, tmp_path, trial):
    mine = trained(tmp_path / "mine", trial, b"weights")
    assert WeightsStore(url).push(trial, mine) == "pushed"
    other = TrialFolder(tmp_path / "other", trial.key)
    assert WeightsStore(url).pull(trial, tmp_path / "other") == "pulled"
    assert other.is_trained
    assert other.weights.read_bytes() == b"weights"
    assert other.training() == RECORD
    assert WeightsStore(url).pull(trial, tmp_path / "other") == "here"


def test_the_card_says_whose_weights_they_are_and_how_they_came_about(url, tmp_path, trial):
    WeightsStore(url).push(trial, trained(tmp_path / "mine", trial, b"weights"))
    files, root = fsspec.core.url_to_fs(url)
    card = json.loads(files.cat_file(f"{root}/{trial.key}.json"))
    assert (card["entry"], card["seed"]) == ("digits/lenet_300_100/jacobian/0.1", 0)
    assert card["spec"] == json.loads(trial.spec)
    # `printf weights | sha256sum`
    assert card["sha256"] == "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"


def test_the_first_weights_stay(url, tmp_path, trial):
    store = WeightsStore(url)
    store.push(trial, trained(tmp_path / "mine", trial, b"weights"))
    assert store.push(trial, tmp_path / "mine") == "there"
    with pytest.raises(InputError, match="holds other weights of digits/lenet_300_100") as refused:
        store.push(trial, trained(tmp_path / "other", trial, b"others"))
    assert len(str(refused.value).splitlines()) == 1
    store.pull(trial, tmp_path / "third")
    assert TrialFolder(tmp_path / "third", trial.key).weights.read_bytes() == b"weights"


def _cut(files, path):
    files.pipe_file(f"{path}.safetensors", b"weigh")


def _another_trial(files, path):
    card = json.loads(files.cat_file(f"{path}.json")) | {"key": "0" * 16}
    files.pipe_file(f"{path}.json", json.dumps(card).encode())


def _no_card(files, path):
    files.pipe_file(f"{path}.json", b"[]")


def _broken_bytes(files, path):
    files.pipe_file(f"{path}.json", b"\xff{")


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (_cut, "is not the file of its card"),
        (_another_trial, "is of trial '0000000000000000'"),
        (_no_card, "is no card of weights"),
        (_broken_bytes, "is no card of weights"),
    ],
)
def test_what_is_not_what_was_pushed_is_refused_in_one_line(url, tmp_path, trial, spoil, expected):
    WeightsStore(url).push(trial, trained(tmp_path / "mine", trial, b"weights"))
    files, root = fsspec.core.url_to_fs(url)
    spoil(files, f"{root}/{trial.key}")
    with pytest.raises(InputError, match=expected) as refused:
        WeightsStore(url).pull(trial, tmp_path / "other")
    assert url in str(refused.value) and len(str(refused.value).splitlines()) == 1
    assert not (tmp_path / "other").exists()


def test_weights_without_a_card_a_card_without_weights_and_neither_are_missing(
    url, tmp_path, trial
):
    store = WeightsStore(url)
    assert store.pull(trial, tmp_path / "other") == "missing"
    store.push(trial, trained(tmp_path / "mine", trial, b"weights"))
    files, root = fsspec.core.url_to_fs(url)
    files.rm_file(f"{root}/{trial.key}.safetensors")
    assert store.pull(trial, tmp_path / "other") == "missing"
    files.pipe_file(f"{root}/{trial.key}.safetensors", b"weights")
    files.rm_file(f"{root}/{trial.key}.json")
    assert store.pull(trial, tmp_path / "other") == "missing"


class Nowhere(MemoryFileSystem):
    """As the hub's: a repository that is not there is no such file, to write as to read."""

    protocol = "nowhere-to-write"

    def pipe_file(self, path, value, mode="overwrite", **more):
        raise FileNotFoundError("404: no such repository")


def test_weights_that_could_not_be_written_are_not_said_to_be_pushed(tmp_path, trial):
    fsspec.register_implementation(Nowhere.protocol, Nowhere)
    store = WeightsStore(f"{Nowhere.protocol}://weights")
    with pytest.raises(Unavailable, match="does not answer: 404: no such repository"):
        store.push(trial, trained(tmp_path / "mine", trial, b"weights"))


def test_what_was_found_on_other_weights_is_forgotten(url, tmp_path, trial):
    WeightsStore(url).push(trial, trained(tmp_path / "mine", trial, b"weights"))
    other = TrialFolder(tmp_path / "other", trial.key)
    other.keep_part(trial.evaluation[0], RECORD)
    WeightsStore(url).pull(trial, tmp_path / "other")
    assert not other.is_evaluated


def test_what_is_not_trained_is_not_pushed(url, tmp_path, trial):
    with pytest.raises(InputError, match=r"jacobian/0\.1 seed 0: is not trained in"):
        WeightsStore(url).push(trial, tmp_path)


@pytest.mark.parametrize(
    ("url", "expected"),
    [(None, "is not set"), ("nowhere://x", "nowhere"), ("s3://bucket/x", "Install s3fs")],
)
def test_a_store_that_cannot_be_is_refused_in_one_line(monkeypatch, url, expected):
    if url is None:
        monkeypatch.delenv("REGBENCH_WEIGHTS", raising=False)
    else:
        monkeypatch.setenv("REGBENCH_WEIGHTS", url)
    with pytest.raises(InputError, match=expected) as refused:
        weights_store()
    assert "REGBENCH_WEIGHTS" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_hub_that_cannot_be_reached_is_one_line(tmp_path, trial):
    """By huggingface_hub's own file system, in a process that knows another address of the hub."""
    import os
    import subprocess
    import sys

    code = (
        "from benchmark.records.weights import weights_store\n"
        "from registry.load import Registry\n"
        "from pathlib import Path\n"
        "store = weights_store()\n"
        "assert type(store.files).__name__ == 'HfFileSystem'\n"
        "trial = Registry().select(['digits/lenet_300_100/jacobian/0.1'], 1)[0][1]\n"
        "try: store.pull(trial, Path('home'))\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    address = {"REGBENCH_WEIGHTS": "hf://owner/name", "HF_ENDPOINT": "http://127.0.0.1:9"}
    said = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | address,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.stdout.startswith(f"{Unavailable.__name__} hf://owner/name: does not answer: ")
    assert len(said.stdout.splitlines()) == 1
