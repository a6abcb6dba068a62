"""Two methods side by side: by how much they differ, on which scores, classes and images."""

import streamlit as st

from benchmark.ranking.selection import selected_trials
from leaderboard_app.figures import intervals, scatter
from leaderboard_app.reading import charts, choices, downloads, frame, queries
from leaderboard_app.tables import compare, compared_images, leaderboard
from leaderboard_app.words.labels import (
    columns_of,
    distances_of,
    percent,
    plain,
)

MEASURES = {
    "linearised_distance_2": "ℓ2 distance to the linearised boundary (input units)",
    "margin": "Margin (logits)",
    "probability": "p_y, probability of the label",
    "loss": "Cross-entropy (nats)",
}


st.title("Compare")
track = choices.choose_track()
architecture = choices.choose_architecture(track)
with frame.reading():
    rows, standings = queries.rows(track), queries.standings(track)
rows = rows[(rows["architecture"] == architecture) & (rows["status"] == "finished")]
standings = standings[standings["architecture"] == architecture]
rows = rows[rows["seed"] < standings["seeds"].max()]  # those that the ranking rests on
standing = {row["regularizer"]: row for row in standings.to_dict("records")}
groups = selected_trials(queries.trials(track), standings)
methods = [method for method in standing if (rows["regularizer"] == method).any()]
if len(methods) < 2:
    frame.nothing_yet(track, "two methods with results")
    frame.end()

style_of = frame.method_styles()
scored_as = {
    row["regularizer"]: {trial.seed: trial.key for trial in group}
    for row, group in zip(standing.values(), groups)
}
chosen: list[tuple[str, float, dict[int, str]]] = []
for where, param, label, default in zip(
    st.columns(2), ("first", "second"), ("First method", "Second method"), methods[:2]
):
    with where:
        method = choices.choose_method(methods, label, param, default)
        mine = rows[rows["regularizer"] == method]
        strengths = {f"{value:g}": value for value in sorted(mine["lambda"].unique())}
        selected = compare.selected(standing[method])
        told = {text: style_of[method].strength(value) for text, value in strengths.items()}
        told |= {selected: f"{told[selected]} (selected)"} if selected in told else {}
        strength = strengths[
            choices.choose(
                "Strength",
                list(told),
                f"{param}_lambda",
                selected,
                lambda text, told=told: told[text],
                of=method,
            )
        ]
        at = mine[mine["lambda"] == strength].drop_duplicates("seed")
        keys = dict(zip(at["seed"], at["key"]))
        if f"{strength:g}" == selected:  # each seed at the λ that the leaderboard scores it at
            keys = scored_as[method]
        chosen.append((method, strength, keys))
(first, first_lambda, first_keys), (second, second_lambda, second_keys) = chosen
if first_keys == second_keys:
    st.info("These are the same models. Choose another method, or another λ.")
    frame.end()
styles = style_of
if first == second:
    style = styles[first]
    names = (
        f"{first}, {style.strength(first_lambda)}",
        f"{first}, {style.strength(second_lambda)}",
    )
    styles = {names[0]: style, names[1]: style.hollow}
else:
    names = (first, second)
name = f"{track.name}-{architecture}-{first}-{first_lambda:g}-{second}-{second_lambda:g}"
keys = [*first_keys.values(), *second_keys.values()]

with frame.reading():
    of = {metric: queries.examples(keys, metric) for metric in ("correct", "relative_distance")}
    labelled = queries.examples(keys, "label", threat="clean")
    measured = {metric: queries.examples(keys, metric, threat="measures") for metric in MEASURES}
classes = queries.registry().dataset(track.dataset)
class_names = [classes.classes[i] for i in classes.subset or range(len(classes.classes))]
labels = compared_images.labels_of(labelled, len(class_names))

st.header("Every score")
columns = columns_of(track) | {"worst": leaderboard.WORST}
ranked = [keys == scored_as[method] for method, _, keys in chosen]
pair = [standing[method] for method, *_ in chosen]
by_others = compare.by_others(pair, ranked)
worst = {}
if all(ranked) and all(row["worst"] >= 0 for row in pair):
    with frame.reading():
        worst = compare.worst_images(track, groups, standings, of["correct"])
differences, values_of = compare.every_score(
    track, rows, first_keys, second_keys, of, worst, by_others
)
if differences.empty:
    st.info("The two have no seed in common yet.")
    frame.end()
charts.chart(
    intervals.intervals(differences, "Score", names, styles, "Paired differences, 95 % intervals"),
    f"differences-{name}",
    differences,
)
told = differences[(differences["low"] > 0) | (differences["high"] < 0)]["Score"].tolist()
st.markdown(f"Told apart: {plain(', '.join(told))}." if told else "No score tells the two apart.")
by_seed = differences[differences["images"] == 1]
infinite = compare.unbroken(of["relative_distance"]) & set(by_seed["column"])
why = "not every image is stored" + (", or its distance is infinite" if infinite else "")
st.caption(
    "The values are the leaderboard's. Paired by seed and by test image; t intervals from the "
    "variances over both, of these two methods alone. Where λ was chosen, seeds count for less, as "
    "on the leaderboard. DeepFool and C&W: % of ‖x‖. Nothing is corrected for the number of scores."
    + (
        f" Paired by seed alone, as {why}: {plain(', '.join(by_seed['Score']))}."
        if len(by_seed)
        else ""
    )
)
facts = [
    compare.facts(standing[method], strength, style_of[method]) for method, strength, _ in chosen
]
shown = compare.side_by_side(names, facts, differences)
st.dataframe(shown, hide_index=True, height="content")
downloads.take_away(differences, shown, f"scores-{name}")

of_threat = rows[rows["split"] == "test"].drop_duplicates("threat", keep="last")
asked = dict(zip(of_threat["threat"], of_threat["n"]))


def stored(column: str, values) -> str:
    """How many of a score's images a view rests on."""
    images, known = values.shape[2], compare.finite(values).shape[2]
    whole = asked.get(column, values_of[column].shape[2])  # the worst case is of all its images
    few = f" of the score's {whole}" if images < whole else ""
    but = f", less {images - known} whose distance is infinite" if known < images else ""
    return f"On the first {images}{few} test images{but}."


st.header("Per class")
ranking = next(
    (column for column in (track.ranking, track.headline) if column in values_of), "clean"
)
if not len(labels):
    st.info("These trials hold no labels, without which no image's class is known.")
else:
    for where, column in zip(st.columns(2), dict.fromkeys(("clean", ranking))):
        if column in values_of:
            values = values_of[column][:, :, : len(labels)]
            classwise = compared_images.by_class(values, labels, class_names, by_others)
            with where:
                charts.chart(
                    intervals.intervals(classwise, "class", names, styles, columns[column]),
                    f"classes-{column}-{name}",
                    classwise,
                )
                unit = " Differences: % of ‖x‖." if column in distances_of(track) else ""
                st.caption(f"{stored(column, values)} In brackets: images of the class.{unit}")

st.header("Per image")
if ranking not in values_of:
    st.info("These trials hold no answers per image.")
    frame.end()
values = values_of[ranking]
st.caption(stored(ranking, values))
is_distance = ranking in distances_of(track)
if not is_distance:
    st.markdown(plain(f"Who is right, {columns[ranking]}, over all seeds:"))
    for where, (label, value) in zip(
        st.columns(4), compared_images.outcomes(compare.finite(values)).items()
    ):
        only = {
            compared_images.FIRST: f"only {names[0]}",
            compared_images.SECOND: f"only {names[1]}",
        }
        said = only.get(label, label)
        where.metric(plain(said), percent(value))
left, right = st.columns(2)
with left:
    available = {metric: label for metric, label in MEASURES.items() if len(measured[metric])}
    if available:
        metric = choices.choose(
            "Measure",
            list(available),
            "measure",
            "linearised_distance_2",
            lambda metric: MEASURES[metric],
        )
        _, both = compare.stack(first_keys, second_keys, measured[metric])
        points = compared_images.by_image(both, labels, class_names)
        st.caption(f"Measured on the first {both.shape[2]} test images.")
        charts.chart(
            scatter.against(
                points,
                "first",
                "second",
                MEASURES[metric].partition(" (")[0],
                names[0],
                names[1],
                styles[names[1]].colour,
            ),
            f"images-{metric}-{name}",
            points,
        )
    else:
        st.info("These trials hold no per-example measures.")
with right:
    images = compared_images.by_image(values, labels, class_names)
    what = "mean ‖r‖/‖x‖ over seeds" if is_distance else "share of seeds"
    st.markdown(plain(f"Where they differ most, {columns[ranking]}, {what}:"))
    st.dataframe(
        images.head(100).rename(columns={"first": names[0], "second": names[1]}), hide_index=True
    )
    downloads.take_away(images, images, f"per-image-{name}")
