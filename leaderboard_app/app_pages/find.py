"""Which method to take within a budget of cost and of clean accuracy."""

import streamlit as st

from leaderboard_app.figures import pareto
from leaderboard_app.reading import charts, choices, downloads, frame, queries
from leaderboard_app.tables import find
from leaderboard_app.words.labels import axis_title, percent, plain, quantity

st.title("Find a method")
track = choices.choose_track()
architecture = choices.choose_architecture(track)
with frame.reading():
    rows, standings = queries.rows(track), queries.standings(track)
rows = rows[rows["architecture"] == architecture]
standings = standings[standings["architecture"] == architecture]
rows = rows[rows["seed"] < standings["seeds"].max()]  # those that the ranking rests on
table = find.strengths(track, rows, standings)
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
        "Seconds a trial.",
    )
with middle:
    clean = choices.number(
        "Clean accuracy at least (%)", "clean", 0.0, 0.0, 100.0, "On test images."
    )
with right:
    known = standings[standings["lambda"].notna()]
    words = sorted({*known["source"], *known["tier"]} - {""})
    wanted = choices.choose_several("Source and tier (any where none is chosen)", words, "has", [])
told = known[known[["source", "tier"]].isin(wanted).any(axis=1)] if wanted else known
fitting = find.within(table[table["method"].isin(told["regularizer"])], cost, clean / 100)
styles = frame.method_styles()
best = find.best(fitting, standings, track)
if best is None:
    st.info("No method fits at the λ that was selected for it on validation images.")
else:
    robust = percent(*(best[f"{track.ranking}{end}"] for end in ("", "_low", "_high")))
    st.markdown(
        f"Best within these limits: **{plain(best['regularizer'])}** at "
        f"{plain(styles[best['regularizer']].strength(best['lambda']))}, "
        f"{plain(quantity(track, track.ranking))} "
        f"{robust}, clean {percent(best['clean'])}, "
        f"{best['cost']:.1f} times the training cost of none."
    )
st.caption(
    "Large: the λ that was selected on validation images, from which the best is named. Small: "
    "every other λ of the track, to see the trade-off; to choose among those here would be to "
    "choose on test images. Faint: methods with a flag, whose attacks cannot be believed."
)
for where, axis in zip(st.columns(2), ("clean", "cost")):
    with where:
        charts.chart(
            pareto.trade_off(
                fitting,
                find.front(fitting, axis),
                axis,
                styles,
                "Robust against clean accuracy" if axis == "clean" else "Robustness against cost",
                axis_title(track, track.headline),
            ),
            f"trade-off-{axis}-{track.name}-{architecture}",
            fitting,
            charts.behind(track, architecture),
        )
shown = find.shown(fitting, styles, track)
st.dataframe(shown, hide_index=True, placeholder="–")
downloads.take_away(fitting, shown, f"find-{track.name}-{architecture}")
