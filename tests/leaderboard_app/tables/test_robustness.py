"""Accuracy against ε holds every ε that was measured, one line a method, attack, norm and loss."""

import numpy as np
import pandas as pd
import pytest

from benchmark.ranking.standings import labelled, standings
from benchmark.records.outcome import Outcome, Score
from leaderboard_app.tables import robustness
from registry.load import Registry


def tables_of(fill, track, trials):
    scores = fill.store.scores({trial.key for trial in trials})
    return labelled(track.with_tiers(trials), scores), standings(track, trials, scores)


def curves_of(fill, name):
    track = Registry().track(name)
    trials = fill(name)
    rows, table = tables_of(fill, track, trials)
    return track, rows, table, robustness.curves(trials, rows, table)


def test_a_chart_holds_the_control_adversarial_training_and_the_first():
    ranked = [f"m{i}" for i in range(9)]
    both = [*ranked[:7], "adversarial_training:norm=2", *ranked[7:], "none"]
    assert robustness.few(both) == [*ranked[:6], "adversarial_training:norm=2", "none"]
    assert robustness.few(ranked[:5]) == ranked[:5]


def test_only_a_finite_distance_is_near_the_linearised_one():
    table = pd.DataFrame({"linearised": [np.inf, np.inf, 2.0], "distance": [1.0, np.inf, 1.9]})
    assert robustness.as_good_as_linear(table) == pytest.approx(1 / 3)


def test_further_radii_of_a_track_are_on_its_curve_and_losses_are_apart(fill):
    track, _, _, curves = curves_of(fill, "cross-hoelder-fashion")
    assert set(curves) == {("pgd", "2", "ce"), ("pgd", "2", "margin")}
    further = track.curves[0].epsilons
    for _, mine in curves["pgd", "2", "ce"].groupby("method"):
        assert mine["epsilon"].tolist() == sorted([0.0, 1.5, *further])
    for _, mine in curves["pgd", "2", "margin"].groupby("method"):
        assert mine["epsilon"].tolist() == [0.0, 1.5]


def test_a_point_is_the_mean_of_its_scores_at_the_selected_strength(fill):
    _, rows, table, curves = curves_of(fill, "cross-hoelder-fashion")
    [row] = table[table["regularizer"] == "cross_lipschitz"].to_dict("records")
    raw = rows[
        (rows["regularizer"] == "cross_lipschitz")
        & (rows["lambda"] == row["lambda"])
        & (rows["threat"] == "pgd-2-2")
        & (rows["split"] == "test")
    ]
    points = curves["pgd", "2", "ce"].set_index(["method", "epsilon"])
    assert points.loc[("cross_lipschitz", 2.0), "mean"] == pytest.approx(raw["value"].mean())
    assert points.loc[("cross_lipschitz", 2.0), "images"] == 500
    assert points.loc[("cross_lipschitz", 0.0), "mean"] == pytest.approx(row["clean"])


def test_of_two_attacks_at_one_radius_the_stronger_counts(fill):
    _, rows, table, _ = curves_of(fill, "guo-fashion-binary")
    trials = [trial for _, trial in Registry().select(["guo-fashion-binary"])]
    rows = rows[rows["architecture"] == "lenet_5"]
    table = table[table["architecture"] == "lenet_5"]
    curve = robustness.curves(trials, rows, table)["pgd", "inf", "ce"]
    assert not curve.duplicated(["method", "epsilon"]).any()


def test_other_models_images_stand_beside_a_model_s_own_attack(fill):
    track = Registry().track("quickstart")
    plain = fill("quickstart")
    assert robustness.transferred(track, plain, *tables_of(fill, track, plain)).empty
    threat = track.transfer()[0]
    metrics = {
        "none": {"robust_accuracy": 0.5, "robust_accuracy:adversarial_training": 0.5},
        "jacobian": {"robust_accuracy": 0.25, "robust_accuracy:none": 0.75},
    }
    found = []
    for trial in plain:
        for metric, value in metrics.get(trial.entry.regularizer, {}).items():
            score = Score(
                threat=threat.name,
                split="test",
                metric=metric,
                value=value,
                n=threat.examples,
                examples=threat.examples,
            )
            found.append(Outcome.of(trial, status="finished", scores=(score,)))
    fill.store.record(found)
    table = robustness.transferred(track, plain, *tables_of(fill, track, plain))
    assert sorted(table["Method"]) == ["jacobian", "none"]
    told = table.set_index("Method")
    assert told.loc["jacobian", ["Images of none", "Of both"]].tolist() == [75, 25]
    assert told["Images of adversarial_training"].isna().to_dict() == {
        "none": False,
        "jacobian": True,
    }
    _, standing = tables_of(fill, track, plain)
    row = standing[standing["regularizer"] == "jacobian"].iloc[0]
    assert told.loc["jacobian", "Own attack"] == pytest.approx(100 * row[track.headline])
