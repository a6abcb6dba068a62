"""Accuracy against ε, and how far the nearest adversarial example is."""

import pandas as pd
import streamlit as st

from benchmark.ranking.standings import sweep
from leaderboard_app import density_plots, frame, queries, samples
from leaderboard_app.labels import ATTACK_NAMES, NORM_SIGNS, percent
from registry.spec import Track


def curves_of(track: Track, rows: pd.DataFrame, standings: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Attack and norm → accuracy against ε at each method's selected λ: columns method, lambda,
    epsilon, mean, half_width.
    """
    chosen = standings[standings["lambda"].notna()][["regularizer", "lambda"]]
    table = sweep(rows)
    table = table[
        (table["split"] == "test") & table["metric"].isin(["accuracy", "robust_accuracy"])
    ]
    table = table.merge(chosen, on=["regularizer", "lambda"]).rename(
        columns={"regularizer": "method"}
    )
    found: dict[str, list[pd.DataFrame]] = {}
    for threat in track.threats:
        if threat.epsilon is not None:
            name = f"{ATTACK_NAMES[threat.attack]} {NORM_SIGNS[threat.norm]}"
            clean = [] if name in found else [table[table["threat"] == "clean"].assign(epsilon=0.0)]
            found.setdefault(name, []).extend(
                [*clean, table[table["threat"] == threat.id].assign(epsilon=threat.epsilon)]
            )
    return {
        name: pd.concat(parts)[["method", "lambda", "epsilon", "mean", "half_width"]]
        for name, parts in found.items()
    }


st.title("Robustness curves")
track = frame.choose_track()
architecture = frame.choose_architecture(track)
with frame.reading():
    rows = queries.rows(track)
    standings = queries.standings(track)
rows, standings = (
    rows[rows["architecture"] == architecture],
    standings[standings["architecture"] == architecture],
)
rows = rows[rows["seed"] < standings["seeds"].max()]  # those that the ranking rests on
if standings["lambda"].notna().sum() == 0:
    frame.nothing_yet(track, "ranked methods")
    st.stop()
styles = frame.method_styles(track)
st.markdown("Each method at the λ that the leaderboard selects.")
curves = curves_of(track, rows, standings)
places = st.columns(2)
for i, (name, table) in enumerate(curves.items()):
    with places[i % 2]:
        frame.chart(
            density_plots.accuracy_against_epsilon(table, styles, name, "ε (pixels in [0, 1])"),
            f"epsilon-{track.name}-{architecture}-{name}",
            table,
        )

st.subheader("Distances")
minimal = [threat for threat in track.threats if threat.epsilon is None and threat.norm == "2"]
chosen = samples.models(rows, architecture).merge(
    standings.rename(columns={"regularizer": "method"})[["method", "lambda"]],
    on=["method", "lambda"],
)
if not minimal:
    st.info("This track has no attack that searches the smallest perturbation.")
    st.stop()
threat = minimal[0]
with frame.reading():
    distance = queries.examples(chosen["key"], "distance", threat=threat.id)
    linearised = queries.examples(chosen["key"], "linearised_distance_2", threat="measures")
found = samples.join(chosen, {"distance": distance})
both = samples.join(chosen, {"linearised": linearised, "distance": distance})
attack = ATTACK_NAMES[threat.attack]
left, right = st.columns(2)
with left:
    st.markdown(
        f"The share of test images whose smallest ℓ2 perturbation, as {attack} finds it, is larger than the distance. "
        "It is 0 where the model errs without any."
    )
    frame.chart(
        density_plots.survival(
            found,
            "distance",
            styles,
            f"{attack}'s distances, all seeds",
            "ℓ2 distance (input units)",
        ),
        f"survival-{track.name}-{architecture}",
        found,
    )
with right:
    if both.empty:
        st.info("These trials hold no linearised distances.")
        st.stop()
    methods = list(dict.fromkeys(both["method"]))
    method = frame.choose("Method", methods, "regularizer", methods[0])
    mine = both[both["method"] == method]
    frame.chart(
        density_plots.against(
            mine,
            "linearised",
            "distance",
            f"{method}, λ = {mine['lambda'].iloc[0]:g}, all seeds",
            "Distance to the linearised boundary",
            f"{attack}'s distance",
            styles[method].colour,
        ),
        f"distance-{track.name}-{architecture}-{method}",
        mine,
    )
    near = float(
        ((mine["distance"] - mine["linearised"]).abs() <= 0.1 * mine["linearised"].abs()).mean()
    )
    st.caption(
        f"{percent(near)} of the images lie within a tenth of the line: there the model is as good as linear up to its "
        "boundary. A point below: the attack found the boundary nearer than the linear model has it. "
        "Negative: misclassified."
    )
