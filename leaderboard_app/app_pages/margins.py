"""How a regularizer's strength moves margins, confidences, losses and singular values."""

import streamlit as st

from leaderboard_app.figures import distributions, sweeps
from leaderboard_app.figures.distributions import of_methods, of_strengths
from leaderboard_app.reading import charts, choices, downloads, frame, places, queries
from leaderboard_app.tables import margins, samples
from leaderboard_app.tables.overview import RIVAL
from leaderboard_app.tables.robustness import few
from leaderboard_app.words import counts
from leaderboard_app.words.labels import plain
from leaderboard_app.words.style import base

SPLITS = ("test", "train")
SPACES = {
    "linearised_distance_2": "ℓ2 distance to the linearised boundary (input units)",
    "distance": "ℓ2 distance that DeepFool finds (input units)",
}
SHARES = {
    "probability": ("Confidence", "p_y, probability of the label"),
    "loss": ("Loss", "Cross-entropy (nats; the last bin holds all beyond)"),
}

st.title("Margins")
track = choices.choose_track()
architecture = choices.choose_architecture(track)
with frame.reading():
    rows = queries.rows(track)
    standings = queries.standings(track)
models = samples.models(rows, architecture)
if models.empty:
    frame.nothing_yet(track)
    frame.end()
methods = [name for name in queries.methods_of(track) if name != "none"]
if not methods:
    st.info("This track has no method beside the control.")
    frame.end()
wens = next((name for name in methods if base(name) == RIVAL), "")
method = choices.choose_method(methods, default=wens)
style = frame.method_styles()[method]
mine = models[models["method"].isin(["none", method])]
lines = of_strengths(mine["lambda"], style)
name = f"{track.name}-{architecture}-{method}"


def margins_of(trials, split: str):
    """One row an image. Those of training images are stored where the track asks for them."""
    found = queries.examples(trials["key"], "margin", split, "margins")
    if found.empty and split == "test":
        found = queries.examples(trials["key"], "margin", threat="measures")
    return samples.join(trials, {"margin": found})


with frame.reading():
    of_split = {split: margins_of(mine, split) for split in SPLITS}
    losses = {
        split: samples.join(mine, {"loss": queries.examples(mine["key"], "loss", split, "clean")})
        for split in SPLITS
    }
of_split = {split: table for split, table in of_split.items() if len(table)}
losses = {split: margins.with_probability(table) for split, table in losses.items() if len(table)}
if not of_split and not losses:
    st.info("These trials hold no per-example measures.")
    frame.end()
first = next(iter(of_split.values()), None)
finished = int(models["seed"].nunique())
images = "" if first is None else f" Stored: {counts.images(first, finished)}."
st.markdown(
    f"One colour a strength of `{method}`, pooled over seeds; grey: no regularizer. A margin is "
    f"the label's logit less the largest other: negative where the model errs.{images}"
)
if of_split:
    for where, (split, table) in zip(st.columns(len(of_split)), of_split.items()):
        with where:
            charts.chart(
                distributions.densities(
                    table, "margin", "lambda", lines, f"Margins, {split} images", "Margin (logits)"
                ),
                f"margin-{name}-{split}",
                table,
            )
    left, right = st.columns(2)
    with left:
        charts.chart(
            distributions.ridges(
                of_split, "margin", lines, "Margins over strengths", "Margin (logits)"
            ),
            f"ridges-{name}",
            margins.together(of_split),
        )
    split, table = next(iter(of_split.items()))
    with right:
        relative = margins.relative(table)
        charts.chart(
            distributions.densities(
                relative,
                "relative",
                "lambda",
                lines,
                f"Free of scale, {split} images",
                "Margin / the model's mean margin",
            ),
            f"relative-margin-{name}",
            relative,
        )
    st.caption(
        "Much of a concentration of margins is scale: a regularizer that shrinks the logits "
        "shrinks "
        "their margins' spread with them. The chart free of scale and the last column show what "
        "is left."
    )
    spread = margins.spread(table, "margin")
    headings = {
        "images": "Images",
        "mean": "Mean margin",
        "deviation": "Standard deviation",
        "relative": "Deviation / mean",
    }
    shown = spread.rename(columns=headings)
    shown.insert(0, "Strength", [style.strength(value) for value in spread["lambda"]])
    st.dataframe(
        shown.drop(columns="lambda"),
        hide_index=True,
        placeholder="–",
        column_config={
            heading: st.column_config.NumberColumn(format="%.3g")
            for heading in ("Mean margin", "Standard deviation", "Deviation / mean")
        },
    )
    downloads.take_away(spread, shown.drop(columns="lambda").round(3), f"spread-{name}")

st.header("Methods beside each other")
chosen = samples.scored(models, queries.trials(track), standings)
have = set(chosen["method"])
of_network = standings[standings["architecture"] == architecture]
ranked = [name for name in of_network["regularizer"] if name in have]
beside = choices.choose_several("Methods", ranked, "beside", few(ranked, 5))
chosen = chosen[chosen["method"].isin(beside)]
with frame.reading():
    attacks = [threat.id for threat in track.threats if threat.attack == "deepfool"]
    logits = margins_of(chosen, "test")
    spaces = {
        metric: samples.join(
            chosen,
            {
                metric: queries.examples(
                    chosen["key"], metric, threat=attacks[0] if metric == "distance" else "measures"
                )
            },
        )
        for metric in SPACES
        if metric != "distance" or attacks
    }
drawn = {"margin": (logits, "Margin (logits)")}
drawn |= {metric: (table, SPACES[metric]) for metric, table in spaces.items()}
drawn = {metric: found for metric, found in drawn.items() if len(found[0])}
told = next((f": {counts.images(table, finished)}" for table, _ in drawn.values()), "")
st.caption(f"Each seed at the λ that the leaderboard scores it at, test images, pooled{told}.")
for (metric, (table, axis)), place in zip(drawn.items(), places.rows_of(2)):
    with place:
        charts.chart(
            distributions.densities(
                table,
                metric,
                "method",
                of_methods(table["method"], frame.method_styles()),
                axis.partition(" (")[0],
                axis,
            ),
            f"beside-{metric}-{track.name}-{architecture}",
            table,
        )

st.header("Confidence and loss")
for table in list(losses.values())[:1]:
    st.caption(f"Pooled over seeds: {counts.images(table, finished)}.")
for column, (title, axis) in SHARES.items():
    for where, (split, table) in zip(st.columns(2), losses.items()):
        with where:
            charts.chart(
                distributions.shares(
                    table, column, lines, margins.EDGES[column], f"{title}, {split} images", axis
                ),
                f"{column}-{name}-{split}",
                table,
            )

st.header("Generalization")
of_method = rows[
    (rows["architecture"] == architecture) & rows["regularizer"].isin(["none", method])
]
curves = margins.gap_curves(of_method)
gaps = {
    "accuracy": ("Clean accuracy, test images", "Clean accuracy (%)", 100),
    "gap": ("Generalization gap", "Test less train loss (nats)", 1),
    "error_gap": ("Error gap", "Train less test accuracy (points)", 100),
}
for where, (column, (title, axis, scale)) in zip(st.columns(3), gaps.items()):
    with where:
        figure = sweeps.against_lambda(
            curves[column], frame.method_styles(), title, style.sign, axis, scale=scale
        )
        said = margins.reported(track, architecture, method, column)
        charts.chart(
            sweeps.with_reported(figure, said, style, scale),
            f"{column}-{name}",
            curves[column],
            charts.behind(track, architecture),
        )

with frame.reading():
    layers = queries.layers(mine["key"])
variation = margins.loss_variation(of_method)
left, right = st.columns(2)
if not layers.empty:
    with left:
        spreads = margins.layer_spread(mine.merge(layers, on="key"))
        charts.chart(distributions.layer_spread(spreads, lines), f"layers-{name}", spreads)
if not variation.empty:
    with right:
        charts.chart(
            sweeps.loss_variation(
                variation, lines, margins.reported_variation(track, architecture, method)
            ),
            f"loss-variation-{name}",
            variation,
        )
        st.caption(
            plain(
                "The largest change of the loss within an ℓ∞ ball, mean over test images, with 95 "
                "% "
                "intervals over seeds (Wen et al., Table 1)."
            )
        )
if track.reported:
    st.caption(
        "Open stars: what a paper reports. All of it stands on the leaderboard's page; it is never "
        "ranked."
    )
