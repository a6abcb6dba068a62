"""`regbench certify`: certificates join trials that have run, and change nothing else of them."""

import json

import pytest

from benchmark.execution import plan
from benchmark.execution.afterwards import to_certify
from benchmark.records.registered import open_store
from registry.load import Registry
from registry.places import HERE

from ..command import regbench

pytestmark = pytest.mark.slow

ENTRY = "digits/lenet_300_100/none/0"
CHOSEN = Registry().select([ENTRY], 1)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A home in which an entry ran."""
    folder = tmp_path_factory.mktemp("certify")
    found = {"home": folder / "home", "results": folder / "results"}
    ran = regbench("run", ENTRY, "--seeds", "1", "--workers", "1", **found)
    assert ran.returncode == 0, ran.stderr
    return found


def certify(*arguments, places):
    said = regbench("certify", ENTRY, *arguments, "--json", **places)
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


def test_certificates_are_added_once_and_ask_for_no_training(places):
    home = places["home"]
    trial = next(trial for _, trial in CHOSEN)
    before = json.loads((home / trial.key / "outcome.json").read_text())
    assert len(to_certify(CHOSEN, home, open_store(home)).to_run) == 1
    assert not plan([trial], open_store(home)).to_run
    rows = certify(places=places)
    after = json.loads((home / trial.key / "outcome.json").read_text())
    assert not to_certify(CHOSEN, home, open_store(home)).to_run
    assert not plan([trial], open_store(home)).to_run
    assert after["key"] == before["key"]
    for rows_of in ("scores", "examples"):
        assert after[rows_of][: len(before[rows_of])] == before[rows_of]
    assert [row["epsilon"] for row in rows] == [0.0125, 0.025, 0.05, 0.075, 0.1]
    assert all(0 <= row["certified"] <= row["worst"] <= 1 for row in rows)
    assert rows[0]["certified"] > 0.5
    assert open_store(home).contradictions().empty


def test_an_entry_of_two_tracks_is_two_rows():
    """Each trains it in its own way, on the registered rows as well as here."""
    names = ("guo-fashion", "open-fashion")
    said = regbench("certify", *names, "--seeds", "1", "--json", results=HERE / "results")
    assert said.returncode == 0, said.stderr
    none = [row for row in json.loads(said.stdout) if row["entry"].endswith("lenet_300_100/none/0")]
    assert {row["track"] for row in none} == set(names)
    assert {row["seeds"] for row in none} == {1}


def test_radii_of_ones_own_are_decided_exactly_and_stored_nowhere(places):
    arguments = ("--seeds", "1", "--eps", "0.01", "--exact", "--images", "3", "--seconds", "1")
    outcomes = [path.read_bytes() for path in sorted(places["home"].glob("*/outcome.json"))]
    (row,) = certify(*arguments, places=places)
    again = [path.read_bytes() for path in sorted(places["home"].glob("*/outcome.json"))]
    assert again == outcomes
    assert row["images"] == 3 == row["robust"] + row["broken"] + row["not_decided"]
    assert 3 * row["certified"] <= row["robust"] <= 3 * row["worst"]


def test_nothing_is_certified_where_nothing_has_run(tmp_path):
    said = regbench("certify", ENTRY, home=tmp_path / "home", results=tmp_path / "results")
    assert said.returncode == 0
    assert "nothing to certify" in said.stdout
    assert "left out" in said.stderr
    assert not list((tmp_path / "home").glob("*/weights.safetensors"))
