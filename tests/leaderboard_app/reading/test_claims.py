"""The claims' table becomes a list, with every word of it."""

from benchmark.records import registered
from leaderboard_app.reading import claims


def test_every_claim_is_a_line_and_no_table_is_left(monkeypatch):
    monkeypatch.delenv("REGBENCH_RESULTS")  # the repository's own
    section = (registered.results() / "README.md").read_text().partition("## What the papers")[2]
    rows = [line for line in section.split("\n## ")[0].splitlines() if line.startswith("|")][2:]
    told = claims.claims()
    assert "|" not in told
    items = [line for line in told.splitlines() if line.startswith("- ")]
    assert len(items) == len(rows) > 0
    for row, item in zip(rows, items):
        assert all(cell.strip() in item for cell in row.strip("|").split("|"))


def test_a_bar_within_a_cell_parts_no_cells():
    table = "| Claim | Verdict | Numbers |\n|---|---|---|\n| a \\| b | held | 1 \\| 2 |"
    assert claims.listed(table) == "- a | b: **held**. 1 | 2."


def test_a_row_of_another_number_of_cells_keeps_its_words():
    rows = "| alone |\n| a | held |\n| a | held | 1 | 2 |"
    table = f"| Claim | Verdict | Numbers |\n|---|---|---|\n{rows}"
    assert claims.listed(table) == "- alone\n- a · held\n- a · held · 1 · 2"


def test_without_registered_rows_nothing_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("REGBENCH_RESULTS", str(tmp_path))
    assert claims.claims() == ""
