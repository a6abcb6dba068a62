"""The papers' figures and tables: where each is drawn from rows, or what would have to run."""

from itertools import groupby

import streamlit as st

from leaderboard_app.reading import frame, queries
from leaderboard_app.tables import papers
from leaderboard_app.words.labels import plain

st.title("Paper figures")
st.markdown(
    "The results that the papers show as figures and tables; what they sketch is left out. A link "
    "opens the view that draws it, from rows and from nothing else; where no track has rows, the "
    "command that makes them stands in its place. A small twin stands in for a paper's own data "
    "where only it has run."
)
with frame.reading():
    filled = queries.filled_tracks()
for paper, drawings in groupby(papers.DRAWINGS, lambda drawing: drawing.paper):
    st.header(plain(paper))
    for drawing in drawings:
        left, middle, right = st.columns([2, 5, 6])
        left.markdown(f"**{plain(drawing.number)}**")
        middle.markdown(plain(drawing.shows))
        track = papers.drawn_from(drawing, filled)
        if track:
            right.page_link(
                f"app_pages/{drawing.page}.py",
                label=plain(f"{drawing.page.capitalize()}, {track}"),
                icon=":material/insert_chart:",
                query_params={"track": track, **drawing.choices},
            )
        else:
            right.markdown(f"Needs `regbench run {drawing.tracks[0]}`")
