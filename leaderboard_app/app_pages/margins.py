"""How a regularizer's strength moves margins, confidences and losses."""

import numpy as np
import streamlit as st

from leaderboard_app import density_plots, frame, plots, queries, samples

st.title("Margins")
track = frame.choose_track()
architecture = frame.choose_architecture(track)
with frame.reading():
    rows = queries.rows(track)
models = samples.models(rows, architecture)
if models.empty:
    frame.nothing_yet(track)
    st.stop()
methods = [line.regularizer for line in track.entry if line.regularizer != "none"]
method = frame.choose("Method", methods, "regularizer", methods[0])
split = frame.choose("Images of", ("test", "train"), "split", "test")
mine = models[models["method"].isin(["none", method])]
with frame.reading():
    loss = queries.examples(mine["key"], "loss", split, "clean")
    margin = queries.examples(mine["key"], "margin", split, "margins")
    if (
        margin.empty and split == "test"
    ):  # of every track; those of training images only where the track asks for them
        margin = queries.examples(mine["key"], "margin", threat="measures")
margins, losses = samples.join(mine, {"margin": margin}), samples.join(mine, {"loss": loss})
losses = losses.assign(
    probability=np.exp(-losses["loss"].astype(float))
)  # cross-entropy is −log p_y
if margins.empty and losses.empty:
    st.info("These trials hold no per-example measures.")
    st.stop()
name = f"{track.name}-{architecture}-{method}-{split}"
st.markdown(
    "One colour a strength λ, pooled over seeds; grey: no regularizer. Margins are of logits: "
    "z of the label less the largest other, negative where the model errs."
)

positive = samples.finite(margins, ["margin"])
scale = positive.groupby("key")["margin"].transform("mean")
relative = positive.assign(relative=positive["margin"] / scale.where(scale > 0))
if margins.empty:
    st.info(f"These trials hold no margins of {split} images.")
else:
    left, right = st.columns(2)
    with left:
        frame.chart(
            density_plots.densities(
                margins, "margin", f"Margins, {split} images", "Margin (logits)"
            ),
            f"margin-{name}",
            margins,
        )
    with right:
        frame.chart(
            density_plots.densities(
                relative, "relative", "The same, free of scale", "Margin / the model's mean margin"
            ),
            f"relative-margin-{name}",
            relative,
        )
    st.caption(
        "Much of a concentration of margins is scale: a regularizer that shrinks the logits shrinks their margins' "
        "spread with them. The right chart and the last column are free of that."
    )
    spread = samples.spread(margins, "margin")
    st.dataframe(
        spread.rename(
            columns={
                "lambda": "λ",
                "images": "Images",
                "mean": "Mean margin",
                "deviation": "Standard deviation",
                "relative": "Deviation / mean",
            }
        ),
        hide_index=True,
        placeholder="–",
        column_config={
            heading: st.column_config.NumberColumn(format="%.3g")
            for heading in ("λ", "Mean margin", "Standard deviation", "Deviation / mean")
        },
    )
    frame.download(spread, f"spread-{name}")

st.subheader("Confidence and loss")
left, right = st.columns(2)
with left:
    frame.chart(
        density_plots.shares(
            losses,
            "probability",
            np.linspace(0, 1, 21),
            f"Confidence, {split} images",
            "p_y, probability of the label",
        ),
        f"confidence-{name}",
        losses,
    )
with right:
    frame.chart(
        density_plots.shares(
            losses,
            "loss",
            np.linspace(0, 3, 31),
            f"Loss, {split} images",
            "Cross-entropy (nats; the last bin holds all beyond)",
        ),
        f"loss-{name}",
        losses,
    )

st.subheader("Generalization")
curves = plots.gap_curves(
    rows[(rows["architecture"] == architecture) & rows["regularizer"].isin(["none", method])]
)
styles = frame.method_styles(track)
left, right = st.columns(2)
with left:
    frame.chart(
        plots.against_lambda(
            curves["accuracy"], styles, "Clean accuracy", "λ", "Clean accuracy (%)"
        ),
        f"accuracy-{name}",
        curves["accuracy"],
    )
with right:
    frame.chart(
        plots.against_lambda(
            curves["gap"], styles, "Generalization gap", "λ", "Test less train loss (nats)", scale=1
        ),
        f"gap-{name}",
        curves["gap"],
    )

with frame.reading():
    layers = queries.layers(mine["key"])
if not layers.empty:
    st.subheader("Singular values of the layers")
    layers = mine.merge(layers, on="key")
    frame.chart(
        plots.layer_spread(layers, density_plots.strength_colours(mine["lambda"].tolist())),
        f"layers-{name}",
        layers,
    )

variation = samples.loss_variation(
    rows[(rows["architecture"] == architecture) & rows["regularizer"].isin(["none", method])]
)
if not variation.empty:
    st.subheader("Maximal loss variation")
    st.markdown(
        "The largest change of the loss within an ℓ∞ ball, mean over test images, in nats (Wen et al., Table 1)."
    )
    spreads = [f" ± {width:.4f}" if np.isfinite(width) else "" for width in variation["half_width"]]
    shown = variation.assign(
        value=[f"{mean:.4f}{spread}" for mean, spread in zip(variation["mean"], spreads)]
    )
    st.dataframe(
        shown.pivot(index="lambda", columns="radius", values="value")
        .rename(columns="ε = {}/255".format)
        .rename_axis("λ")
        .reset_index(),
        hide_index=True,
    )
    frame.download(variation, f"loss-variation-{name}")
