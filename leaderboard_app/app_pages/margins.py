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
mine = models[models["method"].isin(["none", method])]
with frame.reading():
    measured = {name: queries.examples(mine["key"], name, threat="measures") for name in ("margin", "probability")}
    losses = {split: queries.examples(mine["key"], "loss", split, "clean") for split in ("train", "test")}
margins, confidences = (samples.join(mine, {name: table}) for name, table in measured.items())
if margins.empty:
    st.info("These trials hold no per-example measures.")
    st.stop()
name = f"{track.name}-{architecture}-{method}"
st.markdown("One colour a strength λ, pooled over seeds; grey: no regularizer. Margins are of logits: "
            "z of the label less the largest other, negative where the model errs.")

positive = samples.finite(margins, ["margin"])
scale = positive.groupby("key")["margin"].transform("mean")
relative = positive.assign(relative=positive["margin"] / scale.where(scale > 0))
left, right = st.columns(2)
with left:
    frame.chart(density_plots.densities(margins, "margin", "Margins, test images", "Margin (logits)"), f"margin-{name}")
with right:
    frame.chart(density_plots.densities(relative, "relative", "The same, free of scale", "Margin / the model's mean margin"),
                f"relative-margin-{name}")
st.caption("Much of a concentration of margins is scale: a regularizer that shrinks the logits shrinks their margins' spread "
           "with them. The right chart and the last column are free of that.")
spread = samples.spread(margins, "margin")
st.dataframe(spread.rename(columns={"lambda": "λ", "images": "Images", "mean": "Mean margin", "deviation": "Standard deviation",
                                    "relative": "Deviation / mean"}), hide_index=True, placeholder="–",
             column_config={heading: st.column_config.NumberColumn(format="%.3g") for heading in
                            ("λ", "Mean margin", "Standard deviation", "Deviation / mean")})
frame.download(spread, f"margins-{name}")

st.subheader("Confidence and loss")
left, right = st.columns(2)
with left:
    frame.chart(density_plots.shares(confidences, "probability", np.linspace(0, 1, 21), "Confidence, test images",
                                     "p_y, probability of the label"), f"confidence-{name}")
with right:
    split = st.segmented_control("Images of", ["test", "train"], default="test") or "test"
    loss = samples.join(mine, {"loss": losses[split]})
    frame.chart(density_plots.shares(loss, "loss", np.linspace(0, 3, 31), f"Loss, {split} images",
                                     "Cross-entropy (nats; the last bin holds all beyond)"), f"loss-{split}-{name}")

st.subheader("Generalization")
curves = plots.gap_curves(rows[(rows["architecture"] == architecture) & rows["regularizer"].isin(["none", method])])
styles = frame.method_styles(track)
left, right = st.columns(2)
with left:
    frame.chart(plots.against_lambda(curves["accuracy"], styles, "Clean accuracy", "λ", "Clean accuracy (%)"),
                f"accuracy-{name}")
with right:
    frame.chart(plots.against_lambda(curves["gap"], styles, "Generalization gap", "λ", "Test less train loss (nats)", scale=1),
                f"gap-{name}")

with frame.reading():
    layers = queries.layers(mine["key"])
if not layers.empty:
    st.subheader("Singular values of the layers")
    frame.chart(plots.layer_spread(mine.merge(layers, on="key"), density_plots.strength_colours(mine["lambda"].tolist())),
                f"layers-{name}")
