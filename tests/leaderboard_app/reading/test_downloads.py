"""What leaves a page: tables in three forms, charts as PDF."""

import math
import re
from urllib.parse import parse_qs

import pandas as pd
import pytest

from leaderboard_app.figures import canvas
from leaderboard_app.reading import downloads

TABLE = pd.DataFrame(
    {"Method": ["a_b", "c|d"], "λ": [0.1, math.nan], "Score": [0.123456789, 2.0], "Seeds": [3, 1]}
)


def test_a_table_in_latex_is_one_of_booktabs_with_every_cell_escaped():
    text = downloads.to_latex(downloads.written(TABLE))
    assert re.findall(r"\\(\w+rule)", text) == [
        "toprule",
        "midrule",
        "bottomrule",
    ]
    rows = [line.rstrip("\\ ").split(" & ") for line in text.splitlines() if " & " in line]
    assert rows == [
        ["Method", r"$\lambda$", "Score", "Seeds"],
        [r"a\_b", "0.1", "0.1235", "3"],
        ["c|d", "", "2", "1"],
    ]


def test_an_address_opens_with_the_choices_it_was_made_of():
    choices = {"track": ["quickstart"], "search": ["a&b lip=ℓ2"], "methods": ["x:norm=2", "y"]}
    assert parse_qs(downloads.address(choices)) == choices


def test_a_table_in_markdown_has_a_cell_for_each_value():
    lines = downloads.to_markdown(downloads.written(TABLE)).splitlines()
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert cells == [
        ["Method", "λ", "Score", "Seeds"],
        ["---"] * 4,
        ["a_b", "0.1", "0.1235", "3"],
        [r"c\|d", "", "2", "1"],
    ]


@pytest.mark.slow
@pytest.mark.skipif(not downloads.writes_pdf(), reason="needs Chrome or Chromium")
def test_a_chart_as_pdf_is_one_page_as_wide_as_a_papers_text():
    figure = canvas.figure("ℓ∞ and λ", "x", "y")
    figure.add_scatter(x=[1, 2], y=[1, 2], name="a")
    found = downloads.to_pdf(figure)
    assert found.startswith(b"%PDF")
    boxes = re.findall(rb"/MediaBox ?\[0 0 ([0-9.]+) ([0-9.]+)\]", found)
    assert len(boxes) == 1
    width, height = (float(side) for side in boxes[0])
    assert width == pytest.approx(downloads.PAPER["width"] * 72 / 96, abs=1)
    assert height == pytest.approx(figure.layout.height * 72 / 96, abs=1)
