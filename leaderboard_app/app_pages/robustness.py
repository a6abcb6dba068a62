"""Accuracy against ε, and how far the nearest adversarial example is."""

import streamlit as st

from benchmark.ranking.brackets import at_selected
from leaderboard_app.figures import brackets as bracket_figures
from leaderboard_app.figures import curves, distributions, scatter
from leaderboard_app.reading import charts, choices, frame, places, queries
from leaderboard_app.tables import robustness, samples
from leaderboard_app.words import counts
from leaderboard_app.words.labels import ATTACK_NAMES, RADII, family_label, percent

st.title("Robustness curves")
track = choices.choose_track()
architecture = choices.choose_architecture(track)
with frame.reading():
    rows = queries.rows(track)
    standings = queries.standings(track)
rows = rows[rows["architecture"] == architecture]
standings = standings[standings["architecture"] == architecture]
rows = rows[rows["seed"] < standings["seeds"].max()]  # those that the ranking rests on
if standings["lambda"].notna().sum() == 0:
    frame.nothing_yet(track, "ranked methods")
    frame.end()
styles = frame.method_styles()
ranked = standings.loc[standings["lambda"].notna(), "regularizer"].tolist()
methods = choices.choose_several("Methods", ranked, "shown", robustness.few(ranked))
st.markdown(
    "Each seed at the λ that the leaderboard scores it at, under every attack of the track that "
    "has an ε. Bars are 95 % intervals over seeds; ε = 0 is clean accuracy."
)
found = robustness.curves(queries.trials(track), rows, standings)
for ((attack, norm, loss), table), place in zip(found.items(), places.rows_of(2)):
    table = table[table["method"].isin(methods)]
    name = family_label(attack, norm, loss)
    with place:
        charts.chart(
            curves.accuracy_against_epsilon(table, styles, name, RADII[norm]),
            f"epsilon-{track.name}-{architecture}-{name}",
            table,
            charts.behind(track, architecture),
        )

with frame.reading():
    both_ends = at_selected(queries.trials(track), queries.brackets(track), standings)
both_ends = both_ends[both_ends["method"].isin(methods)]
if len(both_ends):
    st.header("From both sides")
    norm = track.headline_threat.norm
    st.markdown(
        "Dotted: the share of images that linear bounds certify, so that no perturbation within ε "
        "changes their class. Solid: the share that no attack within ε has broken, FMN's nearest "
        "images among them. The accuracy against a perfect attack lies between the two. Here: "
        f"{counts.span(both_ends['images'])} test images of each model, means over "
        f"{counts.span(both_ends['seeds'])} seeds."
    )
    charts.chart(
        bracket_figures.over_epsilon(
            both_ends, styles, "Certified and not yet broken", RADII[norm]
        ),
        f"bracket-{track.name}-{architecture}",
        both_ends,
        charts.behind(track, architecture),
    )
    if both_ends["certified"].isna().any():
        st.caption("No certificate: no bounds are known for this network.")

others = robustness.transferred(track, queries.trials(track), rows, standings)
if len(others):
    st.header("Other models' images")
    st.markdown(
        "The share of test images on which a model is right, as they are and as PGD made them "
        "adversarial for another model of the same network and seed. Where those break more than "
        "the attack on the model itself, that attack was blind."
    )
    percent_of = st.column_config.NumberColumn(format="%.1f %%")
    columns = dict.fromkeys(map(str, others), percent_of)
    columns["Method"] = st.column_config.TextColumn(pinned=True)
    st.dataframe(others, hide_index=True, placeholder="–", column_config=columns)

st.header("Distances")
minimal = [threat for threat in track.threats if threat.epsilon is None and threat.norm == "2"]
chosen = samples.scored(samples.models(rows, architecture), queries.trials(track), standings)
chosen = chosen[chosen["method"].isin(methods)]
if not minimal:
    st.info("This track has no attack that searches the smallest perturbation.")
    frame.end()
threat = minimal[0]
with frame.reading():
    distance = queries.examples(chosen["key"], "distance", threat=threat.id)
    linearised = queries.examples(chosen["key"], "linearised_distance_2", threat="measures")
found = samples.join(chosen, {"distance": distance})
both = samples.join(chosen, {"linearised": linearised, "distance": distance})
attack = ATTACK_NAMES[threat.attack]
finished = int(chosen["seed"].nunique())
left, right = st.columns(2)
with left:
    st.markdown(
        f"The share of test images whose smallest ℓ2 perturbation, as {attack} finds it, is larger "
        "than the distance. It is 0 where the model errs without any."
        + (f" Stored: {counts.images(found, finished)}." if len(found) else "")
    )
    charts.chart(
        distributions.survival(
            found,
            "distance",
            styles,
            f"{attack}'s distances",
            "ℓ2 distance (input units)",
        ),
        f"survival-{track.name}-{architecture}",
        found,
    )
with right:
    if both.empty:
        st.info("These trials hold no linearised distances.")
        frame.end()
    method = choices.choose_method(list(dict.fromkeys(both["method"])))
    mine = both[both["method"] == method]
    charts.chart(
        scatter.against(
            mine,
            "linearised",
            "distance",
            f"Linearised and found distances, {method}",
            "Distance to the linearised boundary",
            f"{attack}'s distance",
            styles[method].colour,
        ),
        f"distance-{track.name}-{architecture}-{method}",
        mine,
    )
    near = percent(robustness.as_good_as_linear(mine))
    st.caption(
        f"{counts.images(mine, finished)}; {near} of them lie within a tenth of the line: there "
        "the model is as good as "
        "linear up to its boundary. A point below: the attack found the boundary nearer than the "
        "linear model has it. Negative: misclassified."
    )
