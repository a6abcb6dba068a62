"""Distributions, curves over ε and the theory's curves: plotted values against independent
computations.
"""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar

from benchmark.ranking.standings import labelled
from leaderboard_app.figures import curves, distributions
from leaderboard_app.tables import margins, samples, theory
from leaderboard_app.words.style import styles

STYLES = styles(["none", "jacobian", "cross_lipschitz"])


def traces(figure) -> dict:
    return {trace.name: trace for trace in figure.data}


def over_lambda(table):
    lines = distributions.of_strengths(table["lambda"], STYLES["jacobian"])
    return distributions.densities(table, "margin", "lambda", lines, "t", "x")


def test_a_density_is_the_sum_of_gaussians_at_the_images_values():
    values = np.array([0.0, 1.0, 1.5, 4.0])
    drawn = traces(over_lambda(pd.DataFrame({"lambda": 0.1, "margin": values})))["λ = 0.1"]
    bandwidth = values.std(ddof=1) * len(values) ** (-1 / 5)  # Scott
    gaussians = np.exp(-((drawn.x[:, None] - values) ** 2) / (2 * bandwidth**2)) / (
        bandwidth * math.sqrt(2 * math.pi)
    )
    np.testing.assert_allclose(drawn.y, gaussians.mean(1), rtol=1e-9)
    assert np.trapezoid(drawn.y, drawn.x) == pytest.approx(1, abs=0.01)


def test_a_density_that_would_flatten_the_others_leaves_the_chart():
    spread, narrow = np.linspace(-5, 5, 50), np.linspace(-0.01, 0.01, 50)
    table = pd.concat(
        [
            pd.DataFrame({"lambda": strength, "margin": values})
            for strength, values in ((0.1, spread), (0.2, 1.1 * spread), (0.3, narrow))
        ]
    )
    others = over_lambda(table[table["lambda"] < 0.3])
    assert others.layout.yaxis.range is None
    top = over_lambda(table).layout.yaxis.range[1]
    assert max(trace.y.max() for trace in others.data) < top < 1


def test_a_density_that_would_stretch_the_axis_leaves_the_chart():
    usual, apart = np.linspace(-5, 5, 50), np.linspace(-5000, 5000, 50)
    table = pd.concat(
        [
            pd.DataFrame({"lambda": strength, "margin": values})
            for strength, values in ((0.1, usual), (0.2, 1.1 * usual), (0.3, apart))
        ]
    )
    low, high = over_lambda(table).layout.xaxis.range
    assert -10 < low < -5 and 5 < high < 10


def test_of_two_densities_the_flat_one_rules_the_axis():
    flat, collapsed = np.linspace(-5, 5, 50), np.linspace(-1e-3, 1e-3, 50)
    table = pd.concat(
        [
            pd.DataFrame({"lambda": strength, "margin": values})
            for strength, values in ((0.0, flat), (0.4, collapsed))
        ]
    )
    drawn = over_lambda(table)
    peak = max(next(trace.y for trace in drawn.data if trace.name == "λ = 0"))
    assert peak < drawn.layout.yaxis.range[1] < 5 * peak


def test_a_ridge_holds_each_strengths_images_test_above_train():
    table = pd.DataFrame({"lambda": [0.0] * 3 + [0.1] * 3, "margin": [1.0, 2, 3, 4, 5, 6]})
    lines = distributions.of_strengths(table["lambda"], STYLES["jacobian"])
    sides = {"test": table, "train": table.assign(margin=-table["margin"])}
    drawn = {
        (trace.name, trace.y0): trace
        for trace in distributions.ridges(sides, "margin", lines, "t", "x").data
    }
    assert drawn["test, upward", "λ = 0.1"].x.tolist() == [4, 5, 6]
    assert drawn["test, upward", "λ = 0.1"].side == "positive"
    assert drawn["train, downward", "λ = 0"].x.tolist() == [-1, -2, -3]
    assert drawn["train, downward", "λ = 0"].side == "negative"


def test_densities_skip_what_has_none_and_values_that_are_not_finite():
    table = pd.DataFrame(
        {"lambda": [0.1, 0.1, 0.2, 0.3, 0.3, 0.3], "margin": [1.0, 1.0, 5.0, 1.0, 2.0, math.inf]}
    )
    assert list(traces(over_lambda(table))) == ["λ = 0.3"]


def test_a_histogram_counts_every_image_once_also_beyond_its_edges_and_fills_its_bins():
    table = pd.DataFrame({"lambda": 0.1, "loss": [-1.0, 0.1, 0.9, 1.1, 5.0, math.inf]})
    lines = distributions.of_strengths([0.1], STYLES["jacobian"])
    edges = np.array([0.0, 1.0, 2.0])
    drawn = traces(distributions.shares(table, "loss", lines, edges, "t", "x"))["λ = 0.1"]
    np.testing.assert_allclose(drawn.x, edges)  # each bin from its edge to the next
    np.testing.assert_allclose(drawn.y, [50, 50, 50])
    assert drawn.line.shape == "hv" and list(drawn.customdata[:2]) == ["0–1", "1–2"]


def test_survival_is_the_share_of_images_beyond_each_distance():
    table = pd.DataFrame({"method": "jacobian", "distance": [0.0, 0.0, 1.0, 2.0, math.inf]})
    drawn = traces(distributions.survival(table, "distance", STYLES, "t", "x"))["jacobian"]
    for x, y in zip(drawn.x, drawn.y):
        assert y == pytest.approx(100 * np.mean([value > x for value in table["distance"]]))


def test_accuracy_against_epsilon_holds_its_rows():
    table = pd.DataFrame(
        {
            "method": "jacobian",
            "lambda": 0.1,
            "epsilon": [0.1, 0.0],
            "mean": [0.4, 0.9],
            "low": [0.38, math.nan],
            "high": [0.45, math.nan],
            "seeds": 3,
            "images": 100,
        }
    )
    drawn = traces(curves.accuracy_against_epsilon(table, STYLES, "t", "x"))["jacobian"]
    assert (list(drawn.x), list(drawn.y), list(drawn.error_y.array)) == (
        [0, 0.1],
        [90, 40],
        [0, pytest.approx(5)],
    )


def test_the_generalization_gap_is_test_less_train_loss_averaged_over_seeds(fill):
    trials = fill("quickstart", seeds=2)
    rows = labelled(trials, fill.store.scores({trial.key for trial in trials}))
    gap = margins.gap_curves(rows)["gap"].set_index(["method", "lambda"])
    loss = {
        (row["regularizer"], row["lambda"], row["seed"], row["split"]): row["value"]
        for row in rows.to_dict("records")
        if row["metric"] == "loss" and row["threat"] == "clean"
    }
    for method, strength in (("jacobian", 0.1), ("none", 0.0)):
        expected = np.mean(
            [
                loss[method, strength, seed, "test"] - loss[method, strength, seed, "train"]
                for seed in (0, 1)
            ]
        )
        assert gap.loc[(method, strength), "mean"] == pytest.approx(expected)


def test_the_layers_line_is_the_mean_over_seeds():
    table = pd.DataFrame(
        {
            "lambda": [0.1, 0.1, 0.1],
            "layer": ["a", "a", "b"],
            "metric": "sigma_std",
            "value": [1.0, 3.0, 5.0],
        }
    )
    drawn = traces(
        distributions.layer_spread(
            margins.layer_spread(table), distributions.of_strengths([0.1], STYLES["jacobian"])
        )
    )["λ = 0.1"]
    assert (list(drawn.x), list(drawn.y)) == (["a", "b"], [2.0, 5.0])


def test_joined_measures_are_of_the_same_image():
    trials = pd.DataFrame({"key": ["k", "l"], "method": "jacobian", "lambda": 0.1, "seed": [0, 1]})
    table = samples.join(
        trials,
        {
            "a": pd.DataFrame({"key": ["k", "l"], "values": [[1.0, 2.0, 3.0], [4.0]]}),
            "b": pd.DataFrame({"key": ["k"], "values": [[10.0, 20.0]]}),
        },
    )
    assert table[["key", "image", "a", "b"]].to_numpy().tolist() == [
        ["k", 0, 1.0, 10.0],
        ["k", 1, 2.0, 20.0],
    ]


def test_the_relative_spread_does_not_change_when_all_margins_shrink():
    table = pd.DataFrame({"lambda": 0.1, "margin": [1.0, 2.0, 6.0]})
    [large], [small] = (
        margins.spread(table.assign(margin=table["margin"] * scale), "margin").to_dict("records")
        for scale in (1, 0.01)
    )
    assert small["deviation"] == pytest.approx(large["deviation"] / 100)
    assert small["relative"] == pytest.approx(large["relative"]) == pytest.approx(math.sqrt(7) / 3)


@pytest.mark.parametrize("p", [0.55, 0.7, 0.9, 0.999])
@pytest.mark.parametrize("nu", [0.5, 3.0])
def test_figure_1_is_the_smallest_step_that_lifts_the_quadratic_model_to_log_2(p, nu):
    """Along the one direction that matters: L + (1−p)ν·r + ½p(1−p)ν²·r² = log 2."""

    def miss(r):
        return (-math.log(p) + (1 - p) * nu * r + p * (1 - p) * nu**2 * r**2 / 2 - math.log(2)) ** 2

    r = minimize_scalar(
        miss, bounds=(0, 100 / nu), method="bounded", options={"xatol": 1e-12, "maxiter": 5000}
    ).x
    assert theory.quadratic_distance(np.array([p]), nu)[0] == pytest.approx(r, rel=1e-4)


def test_the_exact_distance_takes_the_logits_difference_to_zero_and_is_always_the_smaller():
    p = np.array([0.51, 0.9, 0.999])
    np.testing.assert_allclose(
        np.log(p) - np.log(1 - p) - 2.5 * theory.exact_distance(p, 2.5), 0, atol=1e-12
    )
    ratio = theory.exact_distance(p, 2.5) / theory.quadratic_distance(p, 2.5)
    assert (ratio < 1).all()
    np.testing.assert_allclose(ratio[1:], [0.823, 0.19], atol=0.005)  # by hand, to three digits


def test_figure_3_weights_times_nu_squared_are_the_penalties_of_a_two_class_model():
    rng = np.random.default_rng(0)
    V, p = rng.normal(size=(5, 2)), 0.8
    probabilities, label = np.array([p, 1 - p]), np.array([1.0, 0.0])
    nu = np.linalg.norm(V[:, 0] - V[:, 1])
    gradient = V @ (probabilities - label)
    hessian = V @ (np.diag(probabilities) - np.outer(probabilities, probabilities)) @ V.T
    omega = sum(np.sum((V[:, i] - V[:, j]) ** 2) for i in range(2) for j in range(2)) / 4
    weights = {
        name: values[0] * nu**2 for name, values in theory.penalty_weights(np.array([p])).items()
    }
    assert weights["input_gradient"] == pytest.approx(gradient @ gradient)
    assert weights["curvature"] == pytest.approx(np.linalg.norm(hessian, 2))
    assert weights["cross_lipschitz"] == pytest.approx(omega)


@pytest.mark.parametrize("log_odds", [True, False])
def test_measured_points_lie_at_their_rows(log_odds):
    points = pd.DataFrame(
        {"probability": [0.5, 0.9], "log_odds": [0.0, math.log(9)], "distance": [0.1, 0.2]}
    )
    theirs = {"curve": (np.array([0.75]), np.array([7.0]), "#000000", "solid")}
    names = {"distance": ("found", "#000000", "circle")}
    drawn = traces(curves.measured_over_curves(theirs, points, names, "t", "y", log_odds=log_odds))
    np.testing.assert_allclose(drawn["found"].x, points["log_odds" if log_odds else "probability"])
    assert list(drawn["found"].y) == [0.1, 0.2]
    assert drawn["curve"].x[0] == pytest.approx(math.log(3) if log_odds else 0.75)
    assert drawn["curve"].y[0] == 7.0
