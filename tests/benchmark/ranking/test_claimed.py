"""A claim stands beside the rows that somebody has run, with the rank that it would have, and moves
none of them.
"""

import pandas as pd
import pytest

from benchmark.commands.rank import rank
from benchmark.ranking.board import CLAIMED, board
from benchmark.ranking.placement import placements
from benchmark.records import open_store
from registry.load import Registry

from .. import challenge_files as files

pytestmark = pytest.mark.slow

CLAIM = "cross_lipschitz"  # leads the registered rows, with others


@pytest.fixture
def results(tmp_path, home, monkeypatch):
    folder = files.registered_rows(tmp_path / "results")
    monkeypatch.setenv("REGBENCH_RESULTS", str(folder))
    return folder


def claim(folder):
    files.with_provenance(folder, folder, lambda row: row.regularizer == CLAIM, standing="claimed")


def ranked(without=()):
    registry = Registry()
    trials = [trial for _, trial in registry.select(["quickstart"])]
    kept = [trial for trial in trials if trial.entry.regularizer not in without]
    table = board(registry.track("quickstart"), kept, open_store())
    columns = ["regularizer", "rank", "rank_high", "would_be", "why", "source"]
    return table[columns].set_index("regularizer").astype(object), table


def test_a_claim_has_the_rank_that_it_would_have_and_the_others_theirs_without_it(results):
    honest, _ = ranked()
    assert honest["rank"][CLAIM] == 1 and (honest["would_be"] == "").all()
    alone, _ = ranked(without=[CLAIM])
    claim(results)
    found, table = ranked()
    mine = found.loc[CLAIM]
    would = honest.loc[CLAIM]
    assert mine["would_be"] == f"{would['rank']}–{would['rank_high']}"
    assert pd.isna(mine["rank"]) and pd.isna(mine["rank_high"])
    assert (mine["why"], mine["source"]) == (CLAIMED, "claimed")
    others = found.drop(CLAIM)
    assert others["rank"].to_dict() == alone["rank"].to_dict()
    assert others["rank_high"].to_dict() == alone["rank_high"].to_dict()
    assert list(table["regularizer"]) == list(honest.index)  # where it stands is unchanged
    (told,) = placements(Registry().track("quickstart"), table, CLAIM)
    assert f"would be rank {mine['would_be']}, but is not ranked: claimed" in told


def test_the_printed_board_says_so(results, capsys):
    claim(results)
    rank(["quickstart"])
    said = capsys.readouterr().out
    (line,) = [line for line in said.splitlines() if line.strip().startswith("would be 1–")]
    assert CLAIM in line
    assert f"– not ranked: {CLAIM}: {CLAIMED}" in said
