"""A challenge made with Foolbox on a registered row lowers its worst case on the board."""

import pytest

from benchmark.review.challenge import check
from registry.places import CHALLENGES

from ...benchmark import challenge_files as files
from ..pages import opened, tables

pytestmark = pytest.mark.slow


def test_a_row_s_worst_case_falls_and_names_who_challenged_it(home, tmp_path, monkeypatch):
    results = files.registered_rows(tmp_path / "results", files.train(home))
    monkeypatch.setenv("REGBENCH_RESULTS", str(results))
    monkeypatch.setenv("REGBENCH_SUBMISSIONS", str(tmp_path / "submissions"))
    app = opened(track="quickstart")
    before = tables(app).set_index("Method")
    assert "Challenged by" not in before
    author = "Ada <b>Lovelace</b>"
    folder = tmp_path / "submissions" / CHALLENGES / "mine"
    check(files.write(folder, *files.broken(), author=author))
    after = tables(app.run()).set_index("Method")
    fallen = before["Worst case"] - after["Worst case"]
    assert fallen[files.METHOD] > 0
    assert fallen.drop(files.METHOD).abs().max() == 0
    images = round(fallen[files.METHOD] * 3 * 360)
    assert after.loc[files.METHOD, "Challenged by"] == f"{author} ({images} images)"
    assert (after["Challenged by"].drop(files.METHOD) == "").all()
