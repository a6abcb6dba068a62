"""What is plotted is what the rows hold; every method looks the same on every page."""

import math

import numpy as np
import pandas as pd
import pytest

from benchmark.ranking.standings import labelled, standings
from leaderboard_app.figures import pareto, scatter, sweeps
from leaderboard_app.tables import matched
from leaderboard_app.words.style import styles
from registry.load import Registry

STYLES = styles(list(Registry().regularizer_folders))


def traces(figure) -> dict:
    return {trace.name: trace for trace in figure.data}


def curves_of(fill, track="guo-fashion"):
    trials = fill(track, seeds=2)
    rows = labelled(trials, fill.store.scores({trial.key for trial in trials}))
    return rows, matched.curves(
        matched.matched(rows, Registry().dataset(Registry().track(track).dataset).num_classes)
    )


def test_a_line_against_lambda_holds_the_means_over_seeds_and_its_band_their_intervals(fill):
    rows, curves = curves_of(fill)
    pgd = curves[curves["column"] == "pgd-inf-0.1"]
    drawn = traces(sweeps.against_lambda(pgd, STYLES, "t", "x", "y"))
    for method, factor in (("jacobian", 5), ("cross_lipschitz", 1)):
        raw = rows[
            (rows["regularizer"] == method)
            & (rows["threat"] == "pgd-inf-0.1")
            & (rows["split"] == "test")
        ]
        seeds = raw.pivot(index="lambda", columns="seed", values="value").sort_index()
        np.testing.assert_allclose(drawn[method].x, factor * seeds.index.to_numpy(), rtol=1e-9)
        np.testing.assert_allclose(drawn[method].y, 100 * seeds.mean(axis=1), rtol=1e-12)
        band = drawn[f"{method} band"]
        n = len(seeds)
        width = (np.array(band.y[:n]) - np.array(band.y[n:][::-1])) / 2
        # Student's 97.5 % quantile for two seeds is 12.7062
        np.testing.assert_allclose(
            width, 100 * 12.7062 * seeds.std(axis=1) / math.sqrt(2), rtol=1e-4
        )
    np.testing.assert_array_equal(
        drawn["jacobian"].x, drawn["cross_lipschitz"].x
    )  # the grids match at λ·K/2
    control = rows[
        (rows["regularizer"] == "none")
        & (rows["threat"] == "pgd-inf-0.1")
        & (rows["split"] == "test")
    ]["value"]
    np.testing.assert_allclose(drawn["none"].y, 100 * control.mean())


def test_points_against_clean_accuracy_pair_each_lambda_with_its_own_clean_accuracy(fill):
    _, curves = curves_of(fill)
    drawn = traces(sweeps.against_clean(curves, "fgsm-inf-0.1", STYLES, "t", "y"))["curvature"]
    mine = curves[curves["method"] == "curvature"].pivot(
        index="lambda", columns="column", values="mean"
    )
    np.testing.assert_allclose(drawn.x, 100 * mine["clean"])
    np.testing.assert_allclose(drawn.y, 100 * mine["fgsm-inf-0.1"])


def test_the_pareto_plot_holds_the_standings(fill):
    trials = fill("quickstart")
    track = Registry().track("quickstart")
    table = standings(track, trials, fill.store.scores({trial.key for trial in trials}))
    drawn = traces(pareto.pareto(table, track.headline, STYLES, "t", "y"))
    for row in table.to_dict("records"):
        trace = drawn[row["regularizer"]]
        assert (trace.x[0], trace.y[0]) == (100 * row["clean"], 100 * row[track.headline])
        above = row[f"{track.headline}_high"] - row[track.headline]
        assert trace.error_y.array[0] == pytest.approx(100 * above)
        below = row["clean"] - row["clean_low"]
        assert trace.error_x.arrayminus[0] == pytest.approx(100 * below)
    assert (
        len({trace.marker.size for name, trace in drawn.items() if name != "not dominated"}) > 1
    )  # cost is seen


def test_the_front_leaves_out_what_another_beats_in_both_and_what_is_flagged():
    table = pd.DataFrame(
        {
            "regularizer": ["a", "b", "c", "d", "e"],
            "clean": [0.9, 0.8, 0.85, 0.8, 0.95],
            "pgd": [0.1, 0.5, 0.05, 0.4, 0.9],
            "flags": ["", "", "", "", "gradients masked"],
            "clean_low": math.nan,
            "clean_high": math.nan,
            "pgd_low": math.nan,
            "pgd_high": math.nan,
            "cost": 1.0,
            "lambda": 0.1,
        }
    )
    drawn = traces(pareto.pareto(table, "pgd", styles("abcde"), "t", "y"))
    front = drawn["not dominated"]
    assert list(zip(front.x, front.y)) == [(80, 50), (90, 10)]
    flagged, style = drawn["e (flagged)"], styles("abcde")["e"]
    assert flagged.marker.symbol == f"{style.symbol}-open"
    assert (flagged.marker.color, flagged.opacity) == (style.colour, None)  # as strong as others


def test_the_chosen_of_all_strengths_are_large_and_none_is_faint():
    table = pd.DataFrame(
        {
            "method": ["a", "a", "b"],
            "lambda": [0.1, 0.2, 0.1],
            "clean": 0.9,
            "robust": [0.5, 0.4, 0.6],
            "cost": 1.0,
            "selected": [True, False, True],
        }
    )
    drawn = traces(pareto.trade_off(table, table[:0], "clean", styles("ab"), "t", "y"))
    large, small = drawn["a"].marker.size
    assert large > small
    assert drawn["b"].marker.size[0] == large
    assert {trace.marker.opacity for trace in drawn.values()} == {1}  # Plotly's own: 0.7 of several


def test_an_unknown_cost_is_told_as_unknown():
    table = pd.DataFrame(
        {
            "method": ["a", "a"],
            "lambda": [0.1, 0.2],
            "clean": 0.9,
            "robust": 0.5,
            "cost": [math.nan, 1.25],
            "selected": True,
        }
    )
    [trace] = pareto.trade_off(table, table[:0], "clean", styles("a"), "t", "y").data
    assert [told[2] for told in trace.customdata] == ["unknown", "1.2"]


def test_the_scatter_holds_every_point_and_the_line_its_slope():
    points = pd.DataFrame(
        {
            "key": ["a", "b"],
            "method": ["jacobian", "cross_lipschitz"],
            "squared": [4.0, 9.0],
            "cross": [0.7, 1.5],
            "about": "",
        }
    )
    drawn = traces(scatter.lipschitz_against_cross(points, 10, STYLES, "t"))
    assert (drawn["jacobian"].x[0], drawn["jacobian"].y[0]) == (4.0, 0.7)
    assert (drawn["cross_lipschitz"].x[0], drawn["cross_lipschitz"].y[0]) == (9.0, 1.5)
    line = drawn["Ω = (2/K)·µ²"]
    np.testing.assert_allclose(np.array(line.y) / np.array(line.x), 0.2)
