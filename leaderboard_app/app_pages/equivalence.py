"""Lipschitz against cross-Lipschitz regularization: are they the same at matched λ?"""

import pandas as pd
import streamlit as st

from benchmark.ranking.equivalence import LEVEL
from leaderboard_app import comparison, density_plots, frame, lipschitz, plots, queries, samples
from leaderboard_app.comparison import CROSS_LIPSCHITZ, LIPSCHITZ
from leaderboard_app.labels import axis_title, columns_of, distances_of, percent, plain, quantity
from registry.spec import Track


def has_both(track: Track) -> bool:
    methods = {comparison.base(line.regularizer) for line in track.entry}
    return {LIPSCHITZ, CROSS_LIPSCHITZ} <= methods


def in_words(track: Track, gap: pd.Series, unit: str) -> str:
    """One sentence about the largest gap: what, where, which way, on how many seeds."""
    higher, lower = (
        (LIPSCHITZ, CROSS_LIPSCHITZ) if gap["difference"] >= 0 else (CROSS_LIPSCHITZ, LIPSCHITZ)
    )
    values = sorted((gap["first"], gap["second"]), reverse=True)
    return (
        f"**{100 * abs(gap['difference']):.1f} {unit}**, in {plain(quantity(track, gap['column']))} "
        f"at λ = {gap['matched']:g}: `{higher}` {100 * values[0]:.1f} %, `{lower}` {100 * values[1]:.1f} % "
        f"({gap['seeds']} paired seed{'s' if gap['seeds'] > 1 else ''})."
    )


def verdicts(track: Track, tests: pd.DataFrame, margin: float) -> list[str]:
    """One sentence a λ: in which scores the two are equivalent there, in which not, and where it
    cannot be told.
    """
    said = {
        "equivalent": "equivalent",
        "different": f"different by more than {margin:g} points",
        "undecided": "undecided (the seeds scatter too much)",
        "one seed": "untestable with one seed",
    }
    lines, headings = [], columns_of(track)
    for strength, mine in tests[tests["column"].isin(headings)].groupby("matched"):
        parts = []
        for verdict, words in said.items():
            names = [
                plain(headings[column])
                for column in headings
                if column in set(mine.loc[mine["verdict"] == verdict, "column"])
            ]
            if names:
                parts.append(
                    f"{words} in {'every score' if len(names) == len(mine) else ', '.join(names)}"
                )
        lines.append(f"- λ = {strength:g}: {'; '.join(parts)}.")
    return lines


st.title("Equivalence")
track = frame.choose_track(
    has_both, f"No track compares `{LIPSCHITZ}` with `{CROSS_LIPSCHITZ}` yet."
)
architecture = frame.choose_architecture(track)
classes = queries.registry().dataset(track.dataset).num_classes
everything = [line.regularizer for line in track.entry]
methods = frame.choose_several("Methods", everything, "method", [LIPSCHITZ, CROSS_LIPSCHITZ])
scale = (
    "the two are compared at the same λ"
    if classes == 2
    else (
        f"`{LIPSCHITZ}` at λ matches `{CROSS_LIPSCHITZ}` at λ·K/2 = {classes / 2:g}·λ, and is plotted there"
    )
)
st.markdown(
    f"`{LIPSCHITZ}` penalises λµ², `{CROSS_LIPSCHITZ}` λΩ. Where the logits' gradients sum to zero, Ω = (2/K)·µ². "
    f"Here K = {classes}, so {scale}. Bands are 95 % intervals over seeds."
)

with frame.reading():
    rows = queries.rows(track)
scored = comparison.matched(rows[rows["architecture"] == architecture], classes)
curves = comparison.curves(scored)
curves = curves[curves["method"].isin(methods)]
if curves.empty:
    frame.nothing_yet(track)
    st.stop()

pairs = comparison.differences(scored, LIPSCHITZ, CROSS_LIPSCHITZ)
st.subheader("The largest measured gap")
if pairs.empty:
    grids = {
        method: ", ".join(
            f"{value:g}"
            for value in sorted(scored.loc[scored["method"] == method, "matched"].unique())
        )
        or "none"
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
        gap = comparison.largest_gap(pairs, columns)
        if gap is not None:
            st.markdown(f"Of {what}: {in_words(track, gap, unit)}")

styles = frame.method_styles(track)
by_lambda, by_clean = st.tabs(["Against matched λ", "Against clean accuracy"])
with by_lambda:
    columns = [column for column in columns_of(track) if (curves["column"] == column).any()]
    places = st.columns(2)
    for i, column in enumerate(columns):
        with places[i % 2]:
            mine = curves[curves["column"] == column]
            frame.chart(
                plots.against_lambda(
                    mine,
                    styles,
                    columns_of(track)[column],
                    f"λ on {CROSS_LIPSCHITZ}'s axis",
                    axis_title(track, column),
                ),
                f"lambda-{track.name}-{architecture}-{column}",
                mine,
            )
with by_clean:
    st.caption(
        "Along λ alone, a method that is weak per unit of λ looks as if it cost no accuracy."
    )
    places = st.columns(2)
    for i, column in enumerate([column for column in columns if column != "clean"]):
        with places[i % 2]:
            frame.chart(
                plots.against_clean(
                    curves, column, styles, columns_of(track)[column], axis_title(track, column)
                ),
                f"clean-{track.name}-{architecture}-{column}",
                curves[curves["column"].isin(["clean", column])],
            )
frame.download(curves, f"equivalence-{track.name}-{architecture}", "Download all curves as CSV")

st.subheader("Are they equivalent?")
if pairs.empty:
    st.info("There is nothing to test yet.")
else:
    margin = frame.number(
        "Margin (points)",
        "margin",
        2.0,
        0.1,
        50.0,
        "Differences smaller than this do not matter to you.",
    )
    tests = comparison.equivalence(pairs, margin / 100)
    st.markdown(
        f"Two one-sided t-tests over paired seeds, each at {LEVEL:.0%}: equivalent where the 90 % interval "
        f"of the mean difference lies within ±{margin:g} points (distances: % of ‖x‖). "
        "Nothing is corrected for the number of tests."
    )
    st.markdown("\n".join(verdicts(track, tests, margin)))
    with st.expander("Every test"):
        table = pd.DataFrame(
            {
                "Score": tests["column"].map(columns_of(track)),
                "λ": tests["matched"],
                "Paired seeds": tests["seeds"],
                LIPSCHITZ: 100 * tests["first"],
                CROSS_LIPSCHITZ: 100 * tests["second"],
                "Difference": 100 * tests["difference"],
                "± (90 %)": 100 * tests["half_width"],
                "p": tests["p"],
                "Verdict": tests["verdict"],
            }
        )
        percents = {
            name: st.column_config.NumberColumn(format="%.1f %%")
            for name in (LIPSCHITZ, CROSS_LIPSCHITZ)
        }
        points = {
            name: st.column_config.NumberColumn(format="%.2f")
            for name in ("Difference", "± (90 %)")
        }
        st.dataframe(
            table,
            hide_index=True,
            column_config={
                **percents,
                **points,
                "λ": st.column_config.NumberColumn(format="%.4g"),
                "p": st.column_config.NumberColumn(format="%.4f"),
            },
        )
        frame.download(tests, f"tests-{track.name}-{architecture}")

st.subheader("µ² against Ω")
st.markdown(
    "No point can lie above the line Ω = (2/K)·µ². How far below it lies is the part of µ² that Ω ignores: "
    "what all logits share, the component V·**1**."
)
chosen = scored[scored["method"].isin(methods)].drop_duplicates(["key", "method"])
with frame.reading():
    squared, cross = (
        queries.examples(chosen["key"], metric, threat="measures")
        for metric in ("lipschitz", CROSS_LIPSCHITZ)
    )
points = lipschitz.per_model(chosen, squared, cross)
if points.empty:
    st.info("These trials hold no per-example measures.")
    st.stop()
names = dict(zip(points["key"], points["method"] + ", " + points["about"]))
key = frame.choose(
    "Model of the images below", list(names), "model", next(iter(names)), lambda key: names[key]
)
of_model = chosen[chosen["key"] == key].head(1)
method = str(of_model["method"].iloc[0])
left, right = st.columns(2)
with left:
    frame.chart(
        plots.lipschitz_against_cross(points, classes, styles, "Per model: means over test images"),
        f"lipschitz-{track.name}-{architecture}",
        points,
    )
with right:
    mine = lipschitz.per_example(of_model, squared, cross)
    frame.chart(
        plots.lipschitz_against_cross(mine, classes, styles, "Per test image of one model"),
        f"lipschitz-{track.name}-{key}",
        mine,
    )

st.subheader("What the penalties bound")
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
terms = lipschitz.chain(samples.join(of_model, measures))
if terms.empty:
    st.info("This model holds no such measures, or gets no image right.")
    st.stop()
st.markdown(
    " · ".join(
        f"{plain(step)} holds at {percent(share)}" for step, share in lipschitz.holds(terms).items()
    )
    + f" of the {len(terms)} test images that `{names[key]}` gets right."
)
figure = density_plots.boxes(
    terms,
    lipschitz.CHAIN,
    "The chain of inequalities, per test image",
    "Per squared input unit",
    styles[method].colour,
)
frame.chart(figure, f"chain-{track.name}-{key}", terms)
