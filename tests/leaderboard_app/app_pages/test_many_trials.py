"""The pages on a database in which most rows belong to other tracks (tests/speed/app.py times the
full 100,000 trials).
"""

import pytest

from benchmark.ranking.board import board
from benchmark.records.home import DATABASE
from benchmark.records.store import Store
from registry.load import Registry

from ...speed.app import fill as fill_by_sql
from ..pages import every_page, opened, tables

pytestmark = pytest.mark.slow


@pytest.fixture
def many(home):
    home.mkdir()
    fill_by_sql(home / DATABASE, ["quickstart", "guo-fashion-binary"], 5000)
    return Store(home / DATABASE)


def test_every_page_opens_and_the_leaderboard_holds_only_its_tracks_rows(many):
    assert many.query("SELECT count(*) AS n FROM trial")["n"].item() == 5000
    for page, app in every_page(track="guo-fashion-binary"):
        assert not app.warning, page
    trials = [trial for _, trial in Registry().select(["guo-fashion-binary"])]
    table = board(Registry().track("guo-fashion-binary"), trials, many)
    shown = tables(opened(track="guo-fashion-binary"))
    assert shown["Method"].tolist() == table["regularizer"].tolist()
    assert shown["PGD ℓ∞ ε=0.1"].tolist() == pytest.approx(table["pgd-inf-0.1"].tolist())
    assert shown["Rank"].notna().all()
