"""All tracks and all methods at one look."""

import streamlit as st

from leaderboard_app.reading import choices, claims, downloads, frame, queries
from leaderboard_app.tables import overview
from leaderboard_app.words.labels import plain, width

if "track" in st.query_params:  # a link from when the leaderboard was the first page
    choices.open_page("app_pages/leaderboard.py", **st.query_params.to_dict())

st.title("RegBench")
st.markdown(
    "Which regularizer makes a network robust against adversarial examples, by how much, how "
    "surely "
    "and at what cost: trained alike, attacked alike, over several seeds, with intervals."
)
with frame.reading():
    tracks, errors = queries.tracks()
for error in errors:
    st.warning(plain(error), icon=":material/error:")
if not tracks:
    st.info("No track is registered: `registry/tracks/` is empty.")
    frame.end()
with frame.reading():
    trials = {name: queries.trials(track) for name, track in tracks.items()}
    known = queries.first_runs({trial.key for mine in trials.values() for trial in mine})
table = overview.of_tracks(tracks, trials, known, queries.titles())

st.header("Tracks")
config = {  # widths with which, at 1440 pixels, all but the last two columns are in sight
    "Track": st.column_config.TextColumn(pinned=True, width=width(table["Track"])),
    "Leader": st.column_config.TextColumn(
        width=260, help="Of each network, with the score that ranks."
    ),
    "Ties": st.column_config.TextColumn(
        width=224, help="Ranked methods that cannot be told apart from the leader (95 %)."
    ),
    "Tier": st.column_config.TextColumn(width=72),
    "Newest row": st.column_config.TextColumn(width=92),
    "Done": st.column_config.ProgressColumn(width=104, format="percent", min_value=0, max_value=1),
    "Trials": st.column_config.NumberColumn(width=60),
    "Seeds": st.column_config.NumberColumn(width=56),
}


def shown(rows):
    """The table; a marked row opens its leaderboard."""
    return st.dataframe(
        rows,
        hide_index=True,
        height="content",
        placeholder="–",
        column_config=config,
        on_select="rerun",
        selection_mode="single-row",
        key="tracks",
    )


filled = table[table["Done"] > 0]["Track"].tolist()
with st.empty():
    if filled:  # the facts stand while the standings are computed
        st.dataframe(table, hide_index=True, height="content", column_config=config)
    with frame.reading():
        standings = queries.boards(tracks[name] for name in filled)
        boards = {name: (tracks[name], standings[name]) for name in filled}
    found = {name: overview.leaders(*board) for name, board in boards.items()}
    for heading in ("Leader", "Ties", "Tier"):
        values = [found.get(name, {}).get(heading, "") for name in table["Track"]]
        table.insert(1 + ("Leader", "Ties", "Tier").index(heading), heading, values)
    marked = shown(table)
if marked.selection.rows:
    choices.open_page(
        "app_pages/leaderboard.py", track=table["Track"].iloc[marked.selection.rows[0]]
    )
st.caption(f"{len(filled)} of {len(tracks)} tracks have rows. Mark a row to open its leaderboard.")
downloads.take_away(table, table.drop(columns="Done"), "tracks")
if not filled:
    st.info(
        "No track has a result yet. Run\n\n```\nregbench run quickstart\n```\n\n"
        "and this page fills by itself while the run goes on.",
        icon=":material/hourglass_empty:",
    )
    frame.end()

if news := overview.news(trials, known, queries.titles()):
    st.header("What is new")
    st.markdown("\n".join(f"- {line}" for line in news))

st.header("Methods")
methods = overview.of_methods(boards)
st.dataframe(
    methods,
    hide_index=True,
    height="content",
    placeholder="–",
    column_config={
        "Method": st.column_config.TextColumn(pinned=True),
        "Cost ×": st.column_config.NumberColumn(
            format="%.1f",
            help="Training seconds relative to `none`, median over tracks, of each the mean over "
            "its networks.",
        ),
    }
    | {
        f"Above {bar}": st.column_config.NumberColumn(
            format="%+.1f",
            help=f"Points of the score that ranks above `{bar}`, mean over the tracks that hold "
            "both, of each the mean over its networks.",
        )
        for bar in (overview.CONTROL, overview.RIVAL)
    },
)
st.caption(
    "Ranks, from the best to the worst that the data allow; a dot parts the networks of a track. "
    "Tracks "
    "differ in data, network and attack: a mean over them says where to look, not who wins."
)
downloads.take_away(methods, methods.round(1).astype(object).fillna(""), "methods")
if told := claims.claims():
    st.header("What the papers claim, and what these rows say")
    st.markdown(told)
