"""Charts beside each other keep their order where they are stacked."""

from streamlit.testing.v1 import AppTest


def page():
    import streamlit as st

    from leaderboard_app.reading.places import rows_of

    for name, place in zip("abcde", rows_of(2)):
        place.text(name)
    st.text("below")


def test_places_are_filled_row_by_row():
    app = AppTest.from_function(page).run()
    # In the order in which a small screen stacks them.
    assert [element.value for element in app.text] == [*"abcde", "below"]
    assert len(app.columns) == 6
