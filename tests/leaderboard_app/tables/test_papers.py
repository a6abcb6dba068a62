"""Each of the papers' figures leads to a track and a method that the page it names can show."""

import pytest

from leaderboard_app.tables.papers import DRAWINGS
from leaderboard_app.words.style import base
from registry.load import HERE, Registry


@pytest.mark.parametrize("drawing", DRAWINGS, ids=lambda drawing: drawing.number)
def test_its_page_and_tracks_are_there_and_have_the_method_that_it_opens(drawing):
    registry = Registry()
    assert (HERE.parent / "leaderboard_app" / "app_pages" / f"{drawing.page}.py").exists()
    for name in drawing.tracks:
        methods = {base(entry.regularizer) for entry in registry.entries(name)}
        assert base(drawing.choices.get("regularizer", "none")) in methods, name
