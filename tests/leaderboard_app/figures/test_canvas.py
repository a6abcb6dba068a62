"""What every chart has in common: room for its words on a small screen, and one font."""

import pytest

from leaderboard_app.figures.canvas import figure, with_room


def drawn(names):
    found = figure("t", "x", "y")
    for name in names:
        found.add_scatter(x=[0], y=[0], name=name)
    return with_room(found)


@pytest.mark.parametrize(
    ("names", "rows"),
    [
        ([f"large_margin:gamma=0.{i},norm=inf (flagged)" for i in range(27)], 27),
        ([f"λ = 0.{i}" for i in range(1, 8)], 4),  # two short names a row
        (["none"], 1),
    ],
)
def test_a_legend_has_room_for_all_its_names_on_a_small_screen(names, rows):
    found = drawn(names)
    assert found.layout.height == 360 + 20 * rows
    assert found.layout.legend.maxheight >= 20 * rows  # Plotly's own limit, half the chart, scrolls


def test_a_name_that_stands_once_in_the_legend_takes_its_room_once():
    found = figure("t", "x", "y")
    for shown in (True, False):
        found.add_scatter(x=[0], y=[0], name=f"a {shown}", showlegend=shown)
    assert with_room(found).layout.height == 380


def test_a_chart_s_words_are_in_a_font_that_its_image_has_too():
    layout = drawn(["none"]).layout
    fonts = layout.font, layout.title.font, layout.hoverlabel.font
    assert {font.family for font in fonts} == {"system-ui, sans-serif"}


def test_a_long_title_has_all_its_lines_above_the_axes():
    short, long = (figure(text, "x", "y").layout for text in ("t", "two lines of words " * 3))
    lines = long.title.text.count("<br>")
    assert lines
    # Plotly hangs further lines below the first.
    assert long.title.pad.b - short.title.pad.b == long.margin.t - short.margin.t == 20 * lines
