"""The chain of inequalities from measured columns; what perturbations and balls give per seed."""

import math

import numpy as np
import pandas as pd
import pytest

from leaderboard_app.figures import curves, distributions
from leaderboard_app.tables import equivalence, margins, theory
from leaderboard_app.words.style import styles

STYLES = styles(["none", "jacobian"])


def measured(classes, images=50):
    """Exact measures of random linear models, one an image, by their definitions."""
    rng, rows = np.random.default_rng(classes), []
    for image in range(images):
        V, z = rng.normal(size=(6, classes)), 2 * rng.normal(size=classes)
        p = np.exp(z) / np.exp(z).sum()
        y = int(z.argmax()) if image % 5 else int(z.argmin())
        gradient = V @ (p - np.eye(classes)[y])
        hessian = V @ (np.diag(p) - np.outer(p, p)) @ V.T
        rows.append(
            {
                "image": image,
                "margin": z[y] - np.delete(z, y).max(),
                "loss": -math.log(p[y]),
                "gradient_norm": np.linalg.norm(gradient),
                "hessian_norm": np.linalg.norm(hessian, 2),
                "spectral_norm": np.linalg.norm(V, 2),
                "lipschitz": np.linalg.norm(V),
            }
        )
    return pd.DataFrame(rows)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_the_chain_holds_at_every_image_that_is_right(classes):
    terms = equivalence.chain(measured(classes))
    assert len(terms) == 40  # a fifth is wrong
    assert list(equivalence.holds(terms).values()) == [1.0, 1.0, 1.0]
    if classes == 2:
        np.testing.assert_allclose(
            terms["gradient"], terms["hessian"], rtol=1e-9
        )  # an equality for two classes


def test_where_a_step_fails_the_share_says_so():
    terms = equivalence.chain(measured(3))
    terms["hessian"] = np.where(
        np.arange(len(terms)) < 10, terms["spectral"] * 1.1, terms["hessian"]
    )
    assert equivalence.holds(terms)["‖H‖₂ ≤ ½‖V‖₂²"] == pytest.approx(0.75)


def test_a_box_holds_the_columns_values():
    terms = equivalence.chain(measured(3))
    drawn = {
        trace.name: trace
        for trace in distributions.boxes(terms, equivalence.CHAIN, "t", "y", "#000000").data
    }
    np.testing.assert_array_equal(np.sort(drawn["½µ²"].y), np.sort(terms["frobenius"]))
    assert list(drawn) == list(equivalence.CHAIN.values())


def labelled(threat, values):
    """values: (method, seed, metric) → value."""
    return pd.DataFrame(
        [
            {
                "key": f"{method}{seed}",
                "architecture": "a",
                "regularizer": method,
                "lambda": 0.1,
                "seed": seed,
                "status": "finished",
                "threat": threat,
                "split": "test",
                "metric": metric,
                "value": value,
            }
            for (method, seed, metric), value in values.items()
        ]
    )


def test_perturbations_are_told_apart_by_kind_quantity_and_length():
    rows = labelled(
        "perturbed",
        {
            ("jacobian", 0, "alignment_0.25"): 0.8,
            ("jacobian", 1, "alignment_0.25"): 0.6,
            ("jacobian", 0, "alignment_0.25:median"): 9.0,
            ("jacobian", 0, "random_alignment_0.25"): 0.1,
            ("jacobian", 0, "relative_deviation_2"): 0.3,
            ("jacobian", 0, "deviation_2"): 7.0,
        },
    )
    table = theory.perturbed(rows).set_index(["quantity", "kind", "radius"])
    assert len(table) == 3
    assert table.loc[("alignment", "PGD", 0.25), "mean"] == pytest.approx(0.7)
    assert table.loc[("alignment", "random", 0.25), "mean"] == pytest.approx(0.1)
    assert table.loc[("relative_deviation", "PGD", 2.0), "mean"] == pytest.approx(0.3)
    mine = theory.perturbed(rows)
    names = theory.QUANTITIES["alignment"]
    figure = curves.against_radius(mine[mine["quantity"] == "alignment"], STYLES, *names)
    assert (figure.layout.title.text, figure.layout.yaxis.title.text) == names
    drawn = figure.data
    assert [(trace.name, trace.x[0], round(trace.y[0], 9)) for trace in drawn] == [
        ("jacobian", 0.25, 0.7),
        ("jacobian", 0.25, 0.1),
    ]
    assert [(trace.line.dash, trace.showlegend) for trace in drawn] == [
        (None, True),
        ("dot", False),
    ]


def test_loss_variation_is_the_mean_over_seeds_of_each_radius():
    rows = labelled(
        "loss_variation",
        {
            ("jacobian", 0, "loss_variation_1"): 0.02,
            ("jacobian", 1, "loss_variation_1"): 0.04,
            ("jacobian", 0, "loss_variation_4"): 0.1,
            ("jacobian", 0, "loss_variation_4:finite"): 1,
        },
    )
    table = margins.loss_variation(rows).set_index("radius")
    assert table["mean"].to_dict() == pytest.approx({"1": 0.03, "4": 0.1})
    assert table.loc["1", "seeds"] == 2


def test_the_points_of_two_classes_lie_on_the_curves_that_the_theory_draws():
    """A random linear model an image: ν, ∇ and H from their definitions."""
    rng, rows = np.random.default_rng(0), []
    for _ in range(30):
        V, z = rng.normal(size=(6, 2)), rng.normal(size=2)
        p = np.exp(z) / np.exp(z).sum()
        gradient = V @ (p - np.eye(2)[0])
        hessian = V @ (np.diag(p) - np.outer(p, p)) @ V.T
        pairs = [np.sum((V[:, i] - V[:, j]) ** 2) for i in range(2) for j in range(2)]
        rows.append(
            {
                "probability": p[0],
                "cross": sum(pairs) / 4,
                "gradient": np.linalg.norm(gradient),
                "hessian": np.linalg.norm(hessian, 2),
                "nu by hand": np.linalg.norm(V[:, 0] - V[:, 1]),
            }
        )
    rows.append({"probability": 0.5, "cross": np.inf, "gradient": 1.0, "hessian": 1.0})
    points = theory.points(pd.DataFrame(rows))
    assert len(points) == 30
    np.testing.assert_allclose(points["nu"], points["nu by hand"])
    expected = theory.penalty_weights(points["probability"].to_numpy())
    for column in ("input_gradient", "curvature"):
        np.testing.assert_allclose(points[column], expected[column], rtol=1e-9)
    low, middle, high = theory.typical(points)
    assert points["nu"].min() < low < middle < high < points["nu"].max()
    assert theory.typical(theory.no_points()) == theory.NUS


def test_each_curvature_keeps_its_values_in_the_density_that_is_drawn_of_it():
    table = pd.DataFrame(
        {
            "key": "a",
            "image": range(50),
            "norm": np.linspace(1, 2, 50),
            "along": np.linspace(0.2, 0.6, 50),
        }
    )
    long = theory.by_curvature(table)
    assert long[long["quantity"] == "along"]["value"].tolist() == table["along"].tolist()
    lines = theory.curvature_lines(["#000000", "#FFFFFF"])
    drawn = distributions.densities(long, "value", "quantity", lines, "t", "x").data
    peaks = {trace.name: trace.x[np.argmax(trace.y)] for trace in drawn}
    assert 1 < peaks["‖H‖₂"] < 2 and 0.2 < peaks["‖H·g/‖g‖‖₂"] < 0.6
