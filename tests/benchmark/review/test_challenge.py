"""A challenge: images that Foolbox found on a trained model lower that row's worst case, and
nothing else does.
"""

import json

import numpy as np
import pytest
import torch

import benchmark
from benchmark.ranking.board import board
from benchmark.records import open_store, registered
from benchmark.records.challenges import ACCEPTED, accepted
from benchmark.records.home import TrialFolder
from benchmark.records.weights import WeightsStore
from benchmark.review.challenge import check
from registry.load import Registry
from registry.places import CHALLENGES
from registry.spec import InputError

from .. import challenge_files as files
from ..command import regbench

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return files.train(tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="module")
def results(tmp_path_factory, trained):
    return files.registered_rows(tmp_path_factory.mktemp("rows") / "results", trained)


@pytest.fixture
def folder(tmp_path, monkeypatch, trained, results):
    """Where a challenge lies; submissions are a folder of the test's own."""
    monkeypatch.setenv("REGBENCH_HOME", str(trained))
    monkeypatch.setenv("REGBENCH_RESULTS", str(results))
    monkeypatch.delenv("REGBENCH_DATA", raising=False)
    monkeypatch.delenv("REGBENCH_WEIGHTS", raising=False)
    monkeypatch.setenv("REGBENCH_SUBMISSIONS", str(tmp_path / "submissions"))
    return tmp_path / "submissions" / CHALLENGES / "mine"


def rank():
    registry = Registry()
    trials = [trial for _, trial in registry.select(["quickstart"])]
    table = board(registry.track("quickstart"), trials, open_store())
    columns = ["regularizer", "rank", "rank_high", "pgd-inf-0.1", "worst", "challenged"]
    return {row["regularizer"]: row for row in table[columns].to_dict("records")}


def registered_survivors(results):
    """[360] bool: the images on which the registered model withstands FGSM and PGD, from the file
    itself.
    """
    rows = {row.key: row for row in registered.outcomes(results / "quickstart.jsonl")}
    attacks = [
        column.values
        for column in rows[files.challenged().key].examples
        if column.metric == "correct" and column.threat in ("pgd-inf-0.1", "fgsm-inf-0.1")
        if column.split == "test"
    ]
    return np.all([np.asarray(values) > 0 for values in attacks], axis=0)


def test_images_that_foolbox_found_lower_the_worst_case_of_that_row_alone(folder, trained, results):
    before = rank()
    places, images = files.broken()
    files.write(folder, places, images)
    assert rank() == before  # nothing counts before it is verified
    said = regbench("challenge", "check", str(folder), home=trained, results=results)
    assert said.returncode == 0, said.stderr
    assert (
        f"accepted: {len(places)} test images break digits/lenet_300_100/jacobian/0.01 seed 0"
        in (said.stdout)
    )
    after = rank()
    new = int(registered_survivors(results)[places].sum())
    assert new > 0
    row = after.pop(files.METHOD)
    was = before.pop(files.METHOD)
    assert row["worst"] == pytest.approx(was["worst"] - new / 360 / 3)
    assert row["challenged"] == f"Ada ({new} images)"
    assert row["pgd-inf-0.1"] == was["pgd-inf-0.1"]
    assert after == before
    told = regbench("rank", "quickstart", home=trained, results=results).stdout
    assert f"– broken by challenge: jacobian: Ada ({new} images)" in told


def test_a_challenge_that_changed_since_it_was_accepted_counts_no_longer(folder):
    files.write(folder, *files.broken())
    check(folder)
    (found,) = accepted()
    assert found.author == "Ada"
    toml = folder / "challenge.toml"
    toml.write_text(toml.read_text().replace("Ada", "Eve"))
    assert list(accepted()) == []


def test_the_weights_come_from_the_store_where_the_home_lacks_them(
    folder, trained, results, tmp_path, monkeypatch
):
    files.write(folder, *files.broken())
    store = str(tmp_path / "store")
    WeightsStore(store).push(files.challenged(), trained)
    empty = tmp_path / "empty"
    monkeypatch.setenv("REGBENCH_HOME", str(empty))
    without = regbench("challenge", "check", str(folder), home=empty, results=results)
    assert without.returncode == 2
    assert without.stderr.startswith("regbench: REGBENCH_WEIGHTS is not set")
    assert len(without.stderr.splitlines()) == 1
    monkeypatch.setenv("REGBENCH_WEIGHTS", store)
    check(folder)
    known = json.loads((folder / ACCEPTED).read_text())["weights_sha256"]
    assert known == TrialFolder(trained, files.challenged().key).digest()


def test_other_weights_than_the_row_s_are_refused(folder, results, tmp_path, monkeypatch):
    """The row says which weights gave it."""
    files.write(folder, *files.broken())
    key = files.challenged().key
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("REGBENCH_RESULTS", str(other))
    files.with_provenance(results, other, lambda row: row.key == key, weights_sha256="0" * 64)
    with pytest.raises(InputError) as refused:
        check(folder)
    assert "are not the weights of the row of digits/lenet_300_100/jacobian/0.01" in str(
        refused.value
    )


def _unbroken(places, images):
    """The last one is as it was."""
    x, _ = benchmark.load_images("digits")
    return places, torch.cat([images[:-1], x[places[-1:]]])


def _wrong_before(places, images):
    model = benchmark.load_model(f"quickstart/lenet_300_100/{files.METHOD}/0.01", seed=0)
    x, y = benchmark.load_images("digits")
    wrong = torch.nonzero(model(x).argmax(1) != y)[:, 0]
    assert len(wrong)
    return wrong[:1], x[wrong[:1]]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_unbroken, "is classified rightly in float32; leave it out"),
        (_wrong_before, "is misclassified as it is; leave it out"),
    ],
)
def test_an_image_that_breaks_nothing_is_refused(folder, change, expected):
    places, images = change(*files.broken())
    files.write(folder, places, images)
    with pytest.raises(InputError) as refused:
        check(folder)
    assert f"test image {places[-1]}: {expected}" in str(refused.value)
    assert not (folder / ACCEPTED).exists()
