"""Lipschitz against cross-Lipschitz regularization: are they the same at matched λ?"""

import streamlit as st

from leaderboard_app.figures import distributions, intervals, scatter, sweeps
from leaderboard_app.reading import charts, choices, downloads, frame, places, queries
from leaderboard_app.tables import equivalence, matched, samples
from leaderboard_app.tables.matched import CROSS_LIPSCHITZ, LIPSCHITZ
from leaderboard_app.words import verdicts
from leaderboard_app.words.labels import (
    axis_title,
    columns_of,
    distances_of,
    percent,
    plain,
)
from registry.spec import Track


def has_both(track: Track) -> bool:
    """Whether the track compares µ² with Ω."""
    return {LIPSCHITZ, CROSS_LIPSCHITZ} <= {*queries.methods_of(track)}


st.title("Equivalence")
track = choices.choose_track(choices.Need(f"`{LIPSCHITZ}` beside `{CROSS_LIPSCHITZ}`", has_both))
architecture = choices.choose_architecture(track)
classes = queries.registry().dataset(track.dataset).num_classes
everything = queries.methods_of(track)
methods = choices.choose_several("Methods", everything, "method", [LIPSCHITZ, CROSS_LIPSCHITZ])
with frame.reading():
    rows = queries.rows(track)
scored = matched.matched(rows[rows["architecture"] == architecture], classes)
curves = matched.curves(scored)
if curves.empty:
    frame.nothing_yet(track)
    frame.end()
curves = curves[curves["method"].isin(methods)]
if curves.empty:
    st.info("No chosen method has run yet." if methods else "No method is chosen.")
    frame.end()

pairs = equivalence.paired(scored, LIPSCHITZ, CROSS_LIPSCHITZ)
margin = choices.number(
    "Margin (points)",
    "margin",
    2.0,
    0.1,
    50.0,
    "Differences smaller than this do not matter to you.",
)
headings = columns_of(track)
styles = frame.method_styles()
axis = f"λ on {CROSS_LIPSCHITZ}'s axis"
scale = (
    "the two are compared at the same λ"
    if classes == 2
    else (
        f"`{LIPSCHITZ}` at λ matches `{CROSS_LIPSCHITZ}` at λ·K/2 = {classes / 2:g}·λ, "
        "and is plotted there"
    )
)
st.markdown(
    f"`{LIPSCHITZ}` penalises λµ², `{CROSS_LIPSCHITZ}` λΩ. Where the logits' gradients sum to "
    f"zero, "
    f"Ω = (2/K)·µ². Here K = {classes}, so {scale}."
)
tests = None
if len(pairs):
    tests, verdict = equivalence.tests(pairs, headings, margin / 100)
    said = verdicts.together(tests, verdict, margin)
    st.header("Verdict")
    st.markdown(f"`{LIPSCHITZ}` and `{CROSS_LIPSCHITZ}` {said}")
    st.caption(
        f"Differences are paired by seed, `{LIPSCHITZ}` less `{CROSS_LIPSCHITZ}`, in points "
        "(distances: % of ‖x‖). Shown: every 90 % interval lies within the margin (two one-sided "
        "tests at 5 %, which need no correction where all must hold). Refuted: one lies outside, "
        "at 5 % for all of them together (Holm). Filled: shown; cross: refuted; open: not decided."
    )
    shown = [column for column in headings if (tests["column"] == column).any()]
    for column, place in zip(shown, places.rows_of(2)):
        mine = tests[tests["column"] == column]
        with place:
            charts.chart(
                intervals.paired(
                    mine,
                    margin,
                    headings[column],
                    axis,
                    "Difference (points)",
                    styles[CROSS_LIPSCHITZ].colour,
                ),
                f"paired-{track.name}-{architecture}-{column}",
                mine,
            )
st.header("The largest measured gap")
if pairs.empty:
    strengths = scored.groupby("method")["matched"].unique()
    grids = {
        method: ", ".join(f"{value:g}" for value in sorted(strengths.get(method, ()))) or "none"
        for method in (LIPSCHITZ, CROSS_LIPSCHITZ)
    }
    st.info(
        f"There is no matched λ that both have been run at: `{LIPSCHITZ}` at {grids[LIPSCHITZ]}, "
        f"`{CROSS_LIPSCHITZ}` at {grids[CROSS_LIPSCHITZ]} (on `{CROSS_LIPSCHITZ}`'s axis)."
    )
else:
    accuracies = set(columns_of(track)) - distances_of(track)
    for columns, unit, what in (
        (accuracies, "points", "accuracy"),
        (distances_of(track), "% of ‖x‖", "distance"),
    ):
        gap = equivalence.largest_gap(equivalence.differences(pairs), columns)
        if gap is not None:
            st.markdown(
                f"Of {what}: {verdicts.largest_gap(track, gap, (LIPSCHITZ, CROSS_LIPSCHITZ), unit)}"
            )

behind = charts.behind(track, architecture)
st.header("The scores themselves")
st.caption("Bands are 95 % intervals over seeds.")
by_lambda, by_clean = choices.tabs(["Against matched λ", "Against clean accuracy"], "view")
with by_lambda:
    columns = [column for column in columns_of(track) if (curves["column"] == column).any()]
    for column, place in zip(columns, places.rows_of(2)):
        with place:
            mine = curves[curves["column"] == column]
            charts.chart(
                sweeps.against_lambda(
                    mine,
                    styles,
                    columns_of(track)[column],
                    axis,
                    axis_title(track, column),
                ),
                f"lambda-{track.name}-{architecture}-{column}",
                mine,
                behind,
            )
with by_clean:
    st.caption(
        "Along λ alone, a method that is weak per unit of λ looks as if it cost no accuracy."
    )
    robust = [column for column in columns if column != "clean"]
    for column, place in zip(robust, places.rows_of(2)):
        with place:
            charts.chart(
                sweeps.against_clean(
                    curves, column, styles, columns_of(track)[column], axis_title(track, column)
                ),
                f"clean-{track.name}-{architecture}-{column}",
                curves[curves["column"].isin(["clean", column])],
                behind,
            )
downloads.download(curves, f"equivalence-{track.name}-{architecture}", "Download all curves as CSV")

st.header("Test by test")
if tests is None:
    st.info("There is nothing to test yet.")
else:
    st.markdown("\n".join(verdicts.by_lambda(track, tests)))
    with st.expander("Every test"):
        shown = equivalence.in_percent(tests, columns_of(track), (LIPSCHITZ, CROSS_LIPSCHITZ))
        st.dataframe(
            shown,
            hide_index=True,
            column_config={
                "λ": st.column_config.NumberColumn(format="%.4g"),
                "p": st.column_config.NumberColumn(format="%.4f"),
                "Difference": st.column_config.NumberColumn(format="%.2f"),
                "± (90 %)": st.column_config.NumberColumn(format="%.2f"),
            },
        )
        downloads.take_away(tests, shown, f"tests-{track.name}-{architecture}")

st.header("µ² against Ω")
st.markdown(
    "No point can lie above the line Ω = (2/K)·µ². How far below it lies is the part of µ² that Ω "
    "ignores: what all logits share, the component V·**1**."
)
chosen = scored[scored["method"].isin(methods)].drop_duplicates(["key", "method"])
with frame.reading():
    squared, cross = (
        queries.examples(chosen["key"], metric, threat="measures")
        for metric in ("lipschitz", CROSS_LIPSCHITZ)
    )
points = equivalence.per_model(chosen, squared, cross)
if points.empty:
    st.info("These trials hold no per-example measures.")
    frame.end()
names = dict(zip(points["key"], points["method"] + ", " + points["about"]))
key = choices.choose(
    "Model of the images below",
    list(names),
    "model",
    next(iter(names)),
    lambda key: names[key],
    of=f"{track.name} {architecture} {methods}",
)
of_model = chosen[chosen["key"] == key].head(1)
method = str(of_model["method"].iloc[0])
left, right = st.columns(2)
with left:
    charts.chart(
        scatter.lipschitz_against_cross(
            points, classes, styles, "Per model: means over test images"
        ),
        f"lipschitz-{track.name}-{architecture}",
        points,
        behind,
    )
with right:
    mine = equivalence.per_example(of_model, squared, cross)
    charts.chart(
        scatter.lipschitz_against_cross(mine, classes, styles, "Per test image of one model"),
        f"lipschitz-{track.name}-{key}",
        mine,
    )

st.header("What the penalties bound")
with frame.reading():
    measures = {
        metric: queries.examples([key], metric, threat="measures")
        for metric in (
            "margin",
            "loss",
            "gradient_norm",
            "hessian_norm",
            "spectral_norm",
            "lipschitz",
        )
    }
terms = equivalence.chain(samples.join(of_model, measures))
if terms.empty:
    st.info("This model holds no such measures, or gets no image right.")
    frame.end()
st.markdown(
    " · ".join(
        f"{plain(step)} holds at {percent(share)}"
        for step, share in equivalence.holds(terms).items()
    )
    + f" of the {len(terms)} test images that `{names[key]}` gets right."
)
figure = distributions.boxes(
    terms,
    equivalence.CHAIN,
    "The chain of inequalities",
    "Per squared input unit",
    styles[method].colour,
)
charts.chart(figure, f"chain-{track.name}-{key}", terms)
