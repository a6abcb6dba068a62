"""What theory says of a network near an image, with what was measured beside it."""

import streamlit as st

from leaderboard_app.figures import curves, distributions, scatter
from leaderboard_app.reading import charts, choices, downloads, frame, places, queries
from leaderboard_app.tables import samples, theory
from leaderboard_app.words import counts, style
from registry.spec import Track

DASHES = ("solid", "dash", "dot")

st.title("Theory")
st.markdown("What theory says of a network near an image, and what was measured there.")


def has_theory(track: Track) -> bool:
    """Whether a figure of this page can be drawn for the track."""
    return two_classes(track) or bool({"perturbed", "margin_curvature"} & set(track.measures))


def two_classes(track: Track) -> bool:
    """Whether the binary constants are defined on the track's data."""
    return queries.registry().dataset(track.dataset).num_classes == 2


track = choices.choose_track(
    choices.Need("theory of two classes, no perturbations and no curvature to show", has_theory)
)
architecture = choices.choose_architecture(track)
with frame.reading():
    rows = queries.rows(track)
    selected = queries.standings(track)
models = samples.models(rows, architecture)
styles = frame.method_styles()
of_network = rows[rows["architecture"] == architecture]
ranked = samples.scored(of_network, queries.trials(track), selected, "regularizer")
meetings = theory.perturbed(ranked)
if not meetings.empty:
    st.header("Perturbations and the linearised network")
    st.markdown(
        "Each seed at the λ that the leaderboard scores it at: perturbations z of PGD (solid), and "
        "random ones of their length (dotted). v₁ is the direction in which the logits move "
        "fastest, and σ₁ how fast that is."
    )
    measured = {name: meetings[meetings["quantity"] == name] for name in theory.QUANTITIES}
    measured = {name: mine for name, mine in measured.items() if len(mine)}
    for (name, mine), place in zip(measured.items(), places.rows_of(2)):
        with place:
            charts.chart(
                curves.against_radius(mine, styles, *theory.QUANTITIES[name]),
                f"{name}-{track.name}-{architecture}",
                mine,
            )
curvatures = theory.NOTHING
if "margin_curvature" in track.measures:
    scored = samples.models(ranked, architecture)
    with frame.reading():
        columns = {
            column: queries.examples(scored["key"], metric, threat="margin_curvature")
            for column, (metric, _) in theory.CURVATURES.items()
        }
    curvatures = samples.join(scored, columns)
if len(curvatures):
    st.header("Curvature of the margin")
    st.markdown(
        "H is the Hessian of the label's logit less the largest other, g that difference's "
        "gradient. What the Cross-Hölder penalty holds down is ‖H·g/‖g‖‖, which ‖H‖ bounds."
    )
    method = choices.choose_method(list(dict.fromkeys(curvatures["method"])))
    mine = curvatures[curvatures["method"] == method]
    name = f"{track.name}-{architecture}-{method}"
    left, right = st.columns(2)
    with left:
        long = theory.by_curvature(mine)
        lines = theory.curvature_lines(style.COLOURS)
        figure = distributions.densities(
            long,
            "value",
            "quantity",
            lines,
            f"Curvature of the margin, {method}",
            "Per squared input unit",
        )
        charts.chart(figure, f"curvature-{name}", long)
    with right:
        figure = scatter.against(
            mine,
            "norm",
            "along",
            f"Along the gradient and at most, {method}",
            "‖H‖₂",
            "‖H·g/‖g‖‖₂",
            styles[method].colour,
        )
        charts.chart(figure, f"along-{name}", mine)
    finished = int(models["seed"].nunique())
    st.caption(f"Test images at the λ that ranks: {counts.images(mine, finished)}.")
if not two_classes(track):
    if meetings.empty and curvatures.empty:
        frame.nothing_yet(track)
    frame.end()
points = theory.no_points()
if models.empty:
    st.info(f"Measured points appear here after `regbench run {track.name}`.")
else:
    models = models[models["seed"] == models["seed"].min()]
    about = {
        row["key"]: ", ".join(
            [row["method"], styles[row["method"]].strength(row["lambda"]), f"seed {row['seed']}"]
        )
        for row in models.to_dict("records")
    }
    key = choices.choose(
        "Model that the points are of",
        list(about),
        "model",
        next(iter(about)),
        lambda key: about[key],
        of=f"{track.name} {architecture}",
    )
    with frame.reading():
        columns = {
            column: queries.examples([key], metric, threat="measures")
            for column, metric in {
                "probability": "probability",
                "log_odds": "margin",
                "cross": "cross_lipschitz",
                "gradient": "gradient_norm",
                "hessian": "hessian_norm",
                "linearised": "linearised_distance_2",
            }.items()
        }
        attack = queries.examples([key], "distance", threat="deepfool-2")
    one = models[models["key"] == key].head(1)
    points = theory.points(
        samples.join(one, columns if attack.empty else columns | {"distance": attack})
    )

st.header("Perturbation size against confidence")
st.markdown(
    "For two classes everything depends on the confidence p_y and on ν, the norm of the difference "
    "of the two logits' gradients."
)
P = theory.confidences(points["log_odds"].to_numpy(float))
sizes = {}
nus = theory.typical(points)
for value, dash in zip(nus, DASHES):
    sizes[f"quadratic model, ν = {value:g}"] = (
        P,
        theory.quadratic_distance(P, value),
        style.COLOURS[1],
        dash,
    )
    sizes[f"exact in the cell, ν = {value:g}"] = (
        P,
        theory.exact_distance(P, value),
        style.COLOURS[0],
        dash,
    )
confident = points[points["probability"].astype(float) > 0.5]
names = (
    {"linearised": ("measured: linearised distance", style.COLOURS[2], "circle")}
    if "linearised" in points
    else {}
)
if "distance" in points and len(points):
    names["distance"] = ("measured: DeepFool", style.COLOURS[4], "diamond")
figure = curves.measured_over_curves(
    sizes,
    confident,
    names if len(points) else {},
    "Guo et al., Figure 1",
    "ℓ2 size (input units)",
    log_odds=True,
)
# The quadratic model runs away exponentially; the true distances would be a flat line beside it.
top = 1.5 * float(theory.exact_distance(P, min(nus)).max())
figure.update_yaxes(range=[-0.05 * top, top])
charts.chart(figure, f"figure-1-{track.name}-{architecture}", downloads.plotted(figure))
st.caption(
    "The quadratic model's ‖r*‖ always exceeds the true distance in the cell, log(p/(1−p))/ν: by a "
    "fifth at p = 0.9, five times at p = 0.999. It is no guarantee."
    + (" ν here: the measured points' quantiles at 10, 50 and 90 %." if len(points) else "")
)

st.header("What each penalty weighs")
weights = {
    f"{method}: {formula}": (
        theory.EVERY,
        theory.penalty_weights(theory.EVERY)[method],
        styles[method].colour,
        styles[method].dash,
    )
    for method, formula in {
        "cross_lipschitz": "½",
        "input_gradient": "(1 − p)²",
        "curvature": "p(1 − p)",
    }.items()
    if method in styles
}
names = {
    method: (f"measured: {called}", styles[method].colour, styles[method].symbol)
    for method, called in {"input_gradient": "‖∇‖²/ν²", "curvature": "‖H‖₂/ν²"}.items()
    if method in styles and len(points)
}
figure = curves.measured_over_curves(
    weights, points, names, "Guo et al., Figure 3: what multiplies ν²", "Weight of ν²"
)
charts.chart(figure, f"figure-3-{track.name}-{architecture}", downloads.plotted(figure))
st.caption(
    "`jacobian` and `cross_lipschitz` press on every image alike; `input_gradient` on those that "
    "the "
    "model gets wrong; `curvature` on those it is unsure of."
)
if len(points):
    downloads.download(points, f"theory-{track.name}-{architecture}", "Download all points as CSV")
