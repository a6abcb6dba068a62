"""Which method to take within a budget of cost and of clean accuracy."""

import streamlit as st

from leaderboard_app.figures import pareto
from leaderboard_app.reading import charts, choices, downloads, frame, queries
from leaderboard_app.tables import find
from leaderboard_app.words.labels import axis_title

st.title("Find a method")
track = choices.choose_track()
architecture = choices.choose_architecture(track)
with frame.reading():
    rows, standings = queries.rows(track), queries.standings(track)
    flags = queries.flags(track)
rows = rows[rows["architecture"] == architecture]
standings = standings[standings["architecture"] == architecture]
seeds = standings["seeds"].max()
rows = rows[rows["seed"] < seeds]  # those that the ranking rests on
flags = {at: told for at, told in flags.items() if at[0] == architecture}
table = find.strengths(track, rows, standings, flags)
if table.empty:
    frame.nothing_yet(track)
    frame.end()
left, middle, right = st.columns(3)
with left:
    cost = choices.number(
        "Training cost at most (times that of none)",
        "cost",
        find.dearest(table),
        0.1,
        1e4,
        "Median training time of a trial. An unknown cost counts as the dearest.",
    )
with middle:
    clean = choices.number(
        "Clean accuracy at least (%)",
        "clean",
        0.0,
        0.0,
        100.0,
        "On validation images, on which λ is chosen.",
    )
with right:
    known = standings[standings["lambda"].notna()]
    words = sorted({*known["source"], *known["tier"]} - {""})
    wanted = choices.choose_several("Source and tier (any where none is chosen)", words, "has", [])
told = known[known[["source", "tier"]].isin(wanted).any(axis=1)] if wanted else known
fitting = find.within(table, cost, clean / 100)
fitting = fitting[fitting["method"].isin(told["regularizer"])]
trials = [trial for trial in queries.trials(track) if trial.entry.architecture == architecture]
fitting = find.chosen(track, trials, rows, fitting, seeds)
styles = frame.method_styles()
best = find.best(fitting)
if best is None:
    st.info("No method has a λ within these limits.")
else:
    st.markdown(find.in_words(best, track, find.score(track, fitting), styles))
st.caption(
    "Large: of each method the λ that is best on validation images within these limits. The best "
    "is named among them. Small: every other λ within them; to choose among those here would be to "
    "choose on test images. A λ with a flag, whose attacks cannot be believed, is only in the "
    "table, at its end."
)
believed = fitting[fitting["flags"] == ""]
for where, axis in zip(st.columns(2), ("clean", "cost")):
    with where:
        charts.chart(
            pareto.trade_off(
                believed,
                find.front(believed, axis),
                axis,
                styles,
                "Robust against clean accuracy" if axis == "clean" else "Robustness against cost",
                axis_title(track, track.headline),
            ),
            f"trade-off-{axis}-{track.name}-{architecture}",
            believed,
            charts.behind(track, architecture),
        )
shown = find.shown(fitting, styles, track)
st.dataframe(shown, hide_index=True, placeholder="–")
downloads.take_away(fitting, shown, f"find-{track.name}-{architecture}")
