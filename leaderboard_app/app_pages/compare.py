"""Two methods side by side: by how much they differ, on which scores, which classes, which images."""

import numpy as np
import pandas as pd
import streamlit as st

from leaderboard_app import density_plots, frame, pair_plots, pairs, queries
from leaderboard_app.labels import columns_of, distances_of, percent, place, plain
from registry.spec import Track

MEASURES = {
    "linearised_distance_2": "ℓ2 distance to the linearised boundary (input units)",
    "margin": "Margin (logits)",
    "probability": "p_y, probability of the label",
    "loss": "Cross-entropy (nats)",
}


def metric_of(track: Track, column: str) -> str:
    return "relative_distance" if column in distances_of(track) else "correct"


def means_of(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """The scores of a column as if each were one image's: key, values."""
    mine = rows[
        (rows["threat"] == column)
        & (rows["split"] == "test")
        & rows["metric"].isin(["accuracy", "robust_accuracy", "relative_distance"])
    ]
    return pd.DataFrame({"key": mine["key"], "values": [[value] for value in mine["value"]]})


st.title("Compare")
track = frame.choose_track()
architecture = frame.choose_architecture(track)
with frame.reading():
    rows, standings = queries.rows(track), queries.standings(track)
rows = rows[(rows["architecture"] == architecture) & (rows["status"] == "finished")]
standing = {
    row["regularizer"]: row
    for row in standings[standings["architecture"] == architecture].to_dict("records")
}
methods = [method for method in standing if (rows["regularizer"] == method).any()]
if len(methods) < 2:
    frame.nothing_yet(track, "two methods with results")
    st.stop()

chosen: list[tuple[str, float, dict[int, str]]] = []
for where, param, label, default in zip(
    st.columns(2), ("first", "second"), ("First method", "Second method"), methods[:2]
):
    with where:
        method = frame.choose(label, methods, param, default)
        mine = rows[rows["regularizer"] == method]
        strengths = {f"{value:g}": value for value in sorted(mine["lambda"].unique())}
        selected = f"{standing[method]['lambda']:g}" if pd.notna(standing[method]["lambda"]) else ""
        told = {text: f"{text} (selected)" if text == selected else text for text in strengths}
        strength = strengths[
            frame.choose(
                "λ",
                list(told),
                f"{param}_lambda",
                selected,
                lambda text, told=told: told[text],
                of=method,
            )
        ]
        keys = (
            mine[mine["lambda"] == strength]
            .drop_duplicates("seed")
            .set_index("seed")["key"]
            .to_dict()
        )
        chosen.append((method, strength, keys))
(first, first_lambda, first_keys), (second, second_lambda, second_keys) = chosen
if first_keys == second_keys:
    st.info("These are the same models. Choose another method, or another λ.")
    st.stop()
names = (
    (first, second)
    if first != second
    else (f"{first}, λ = {first_lambda:g}", f"{second}, λ = {second_lambda:g}")
)
styles = frame.method_styles(track)
styles = {name: styles[method] for name, (method, *_) in zip(names, chosen)}
name = f"{track.name}-{architecture}-{first}-{first_lambda:g}-{second}-{second_lambda:g}"
keys = [*first_keys.values(), *second_keys.values()]


def numbers(method: str, strength: float) -> dict[str, str]:
    """What the leaderboard says of a method, where it is at the λ that is compared."""
    row = standing[method]
    ranked = row["lambda"] == strength
    rank = place(row["rank"], row["rank_high"]) if ranked and pd.notna(row["rank"]) else "–"
    return {
        "λ": f"{strength:g}",
        "Rank": rank,
        "Worst case": percent(row["worst"]) or "–" if ranked else "–",
        "Cost ×": f"{row['cost']:.1f}" if np.isfinite(row["cost"]) else "–",
        "Tier": row["tier"] or "–" if ranked else "–",
        "Flags": row["flags"] or "none" if ranked else "–",
    }


with frame.reading():
    of = {metric: queries.examples(keys, metric) for metric in ("correct", "relative_distance")}
    labelled = queries.examples(keys, "label", threat="clean")
    measured = {metric: queries.examples(keys, metric, threat="measures") for metric in MEASURES}
classes = queries.registry().dataset(track.dataset)
class_names = [classes.classes[i] for i in classes.subset or range(len(classes.classes))]
labels = pairs.labels_of(labelled, len(class_names))

st.subheader("Every score")
columns, table, values_of = columns_of(track), [], {}
for column, heading in columns.items():
    found = of[metric_of(track, column)]
    seeds, values = pairs.stack(first_keys, second_keys, found[found["threat"] == column])
    values = pairs.finite(values)
    if not values.size:  # registered results keep no image of some scores
        seeds, values = pairs.stack(first_keys, second_keys, means_of(rows, column))
    if values.size:
        values_of[column] = values
        table.append({"Score": heading, "column": column} | pairs.row(values))
differences = pd.DataFrame(table)
if differences.empty:
    st.info("The two have no seed in common yet.")
    st.stop()
frame.chart(
    pair_plots.intervals(differences, "Score", names, styles, "Paired differences, 95 % intervals"),
    f"differences-{name}",
    differences,
)
told = differences[(differences["low"] > 0) | (differences["high"] < 0)]["Score"].tolist()
st.markdown(f"Told apart: {plain(', '.join(told))}." if told else "No score tells the two apart.")
st.caption(
    "Paired by seed and by test image; intervals from a bootstrap over both. DeepFool and C&W: % of ‖x‖. "
    "Nothing is corrected for the number of scores."
)
facts = [numbers(method, strength) for method, strength, _ in chosen]
shown = pd.DataFrame(
    {"": [*facts[0], *differences["Score"], "Paired seeds"]}
    | {
        label: [
            *fact.values(),
            *(percent(value) for value in differences[side]),
            str(int(differences["seeds"].max())),
        ]
        for label, fact, side in zip(names, facts, ("first", "second"))
    }
    | {
        "Difference": [""] * len(facts[0])
        + [
            f"{100 * d:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
            for d, low, high in differences[["difference", "low", "high"]].to_numpy()
        ]
        + [""]
    }
)
st.dataframe(shown, hide_index=True, height="content")

st.subheader("Per class")
ranking = track.headline if track.headline in values_of else "clean"
places = st.columns(2)
if not len(labels):
    st.info("These trials hold no labels, without which no image's class is known.")
else:
    for where, column in zip(places, dict.fromkeys(("clean", ranking))):
        if column in values_of and values_of[column].shape[2] > 1:
            classwise = pairs.by_class(values_of[column], labels, class_names)
            with where:
                frame.chart(
                    pair_plots.intervals(classwise, "class", names, styles, columns[column]),
                    f"classes-{column}-{name}",
                    classwise,
                )

st.subheader("Per image")
values = values_of[ranking]
if values.shape[2] > 1 and track.headline_metric == "robust_accuracy":
    for where, (label, value) in zip(st.columns(4), pairs.outcomes(values).items()):
        said = {pairs.FIRST: f"only {names[0]}", pairs.SECOND: f"only {names[1]}"}.get(label, label)
        where.metric(plain(f"Right under {columns[ranking]}: {said}"), percent(value))
left, right = st.columns(2)
with left:
    available = {metric: label for metric, label in MEASURES.items() if len(measured[metric])}
    if available:
        metric = frame.choose(
            "Measure",
            list(available),
            "measure",
            "linearised_distance_2",
            lambda metric: MEASURES[metric],
        )
        _, both = pairs.stack(first_keys, second_keys, measured[metric])
        points = pairs.by_image(both, labels, class_names)
        frame.chart(
            density_plots.against(
                points,
                "first",
                "second",
                f"{MEASURES[metric]}, mean over seeds",
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
    images = pairs.by_image(values, labels, class_names)
    st.markdown(plain(f"Where they differ most, {columns[ranking]}, share of seeds:"))
    st.dataframe(
        images.head(100).rename(columns={"first": names[0], "second": names[1]}), hide_index=True
    )
    frame.download(images, f"per-image-{name}")
