"""Two methods side by side: what is paired with what, and what the page says of it."""

import math

import numpy as np
import pandas as pd
import pytest

from leaderboard_app.figures import intervals
from leaderboard_app.tables import compare, compared_images
from leaderboard_app.words.style import styles

STYLES = styles(["jacobian", "cross_lipschitz"])
NAMES = ("jacobian", "cross_lipschitz")


def examples(**values):
    return pd.DataFrame({"key": list(values), "values": list(values.values())})


def test_only_seeds_and_images_that_both_have_are_paired():
    table = examples(a0=[1.0, 2.0, 3.0], a1=[4.0, 5.0, 6.0], b1=[7.0, 8.0], b2=[9.0, 9.0], b0=[])
    seeds, values = compare.stack({0: "a0", 1: "a1"}, {0: "b0", 1: "b1", 2: "b2"}, table)
    assert seeds == [1]
    assert values.tolist() == [[[4.0, 5.0]], [[7.0, 8.0]]]
    assert compare.stack({0: "a0"}, {1: "b1"}, table)[1].shape == (2, 0, 0)


def test_an_image_that_one_model_has_no_finite_value_for_counts_for_neither():
    values = np.array([[[1.0, math.inf, 3.0]], [[1.0, 2.0, math.nan]]])
    assert compare.finite(values).tolist() == [[[1.0]], [[1.0]]]


def test_a_class_and_an_image_are_known_by_their_place_beside_infinite_distances():
    values = np.array([[[math.inf, 0.1, 0.2, 0.3]], [[0.5, 0.3, 0.2, 0.1]]])
    labels = np.array([0, 1, 0, 1])
    table = compared_images.by_class(values, labels, ["cat", "dog"]).set_index("class")
    assert table["first"].to_dict() == {"cat (1)": 0.2, "dog (2)": 0.2}
    images = compared_images.by_image(values, labels, ["cat", "dog"]).set_index("image")
    assert images["class"].to_dict() == {1: "dog", 2: "cat", 3: "dog"}


def test_seeds_at_a_lambda_that_the_others_choose_count_for_less():
    values = np.random.default_rng(0).normal(0.5, 0.1, size=(2, 3, 20))
    selected = np.array([True, False])
    found, chosen = compare.row(values), compare.row(values, selected)
    assert chosen["low"] < found["low"] < found["high"] < chosen["high"]
    [low] = compared_images.by_class(values, np.zeros(20, int), ["x"], selected)["low"]
    assert low == pytest.approx(chosen["low"])


def test_labels_are_the_longest_row_of_labels():
    table = examples(
        a=[0.0, 1.0], b=[0.0, 1.0, 1.0], c=[0.0, math.nan, 1.0, 1.0], d=[0.0, 1.0, 1.0, 7.0], e=[]
    )
    assert compared_images.labels_of(table, 2).tolist() == [0, 1, 1]
    assert compared_images.labels_of(examples(e=[]), 2).tolist() == []


def test_a_class_is_compared_on_its_own_images_alone():
    rng = np.random.default_rng(0)
    values, labels = rng.integers(0, 2, size=(2, 3, 30)), np.arange(30) % 2
    table = compared_images.by_class(values, labels, ["even", "odd", "never"]).set_index("class")
    assert list(table.index) == ["even (15)", "odd (15)"]
    table = table.rename(index=lambda name: name.partition(" ")[0])
    assert table.loc["odd", "difference"] == pytest.approx(
        values[0][:, 1::2].mean() - values[1][:, 1::2].mean()
    )
    assert table.loc["odd", "images"] == 15
    assert table.loc["odd", "low"] < table.loc["odd", "difference"] < table.loc["odd", "high"]


def test_where_no_pair_differs_there_is_no_interval():
    found = compare.row(np.ones((2, 3, 9)))
    assert found["difference"] == 0
    assert math.isnan(found["low"]) and math.isnan(found["high"])


def test_the_four_outcomes_of_an_image_add_up_to_one():
    correct = np.array([[[1, 1, 0, 0]], [[1, 0, 1, 0]]])
    assert compared_images.outcomes(correct) == {
        compared_images.BOTH: 0.25,
        compared_images.FIRST: 0.25,
        compared_images.SECOND: 0.25,
        compared_images.NEITHER: 0.25,
    }


def test_images_are_listed_by_how_much_the_methods_differ_on_them():
    values = np.array([[[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]], [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0]]])
    table = compared_images.by_image(values, np.array([0, 1]), ["x", "y"])
    assert table["image"].tolist() == [1, 2, 0]
    assert table["class"].tolist() == ["y", "", "x"]
    assert table["difference"].tolist() == [-1.0, 0.5, 0.0]


def test_a_line_is_drawn_at_its_row_in_the_colour_of_the_better():
    table = pd.DataFrame(
        {
            "Score": ["a", "b", "<c>"],
            "first": 0.5,
            "second": 0.4,
            "difference": [0.1, -0.2, 0.01],
            "low": [0.05, -0.3, -0.1],
            "high": [0.2, -0.1, math.nan],
        }
    )
    drawn = {
        trace.name: trace for trace in intervals.intervals(table, "Score", NAMES, STYLES, "t").data
    }
    better, worse, open_ = (
        drawn["jacobian better"],
        drawn["cross_lipschitz better"],
        drawn["not told apart"],
    )
    assert (better.x[0], better.y[0], better.marker.color) == (
        pytest.approx(10),
        "a",
        STYLES["jacobian"].colour,
    )
    assert (better.error_x.array[0], better.error_x.arrayminus[0]) == (
        pytest.approx(10),
        pytest.approx(5),
    )
    assert (worse.x[0], worse.y[0], worse.marker.color) == (
        -20,
        "b",
        STYLES["cross_lipschitz"].colour,
    )
    assert open_.y[0] == "&lt;c&gt;"
    assert open_.error_x.array[0] == 0


def test_an_interval_of_shares_ends_where_shares_do():
    values = np.array([[[0.0], [1.0]], [[1.0], [0.0]]])  # two seeds, each the other way round
    row = compare.row(values)
    assert (row["low"], row["high"]) == (-1, 1)


def examples_of(values):
    return pd.DataFrame({"key": list(values), "values": list(values.values())})


def scores_of(values, n):
    return pd.DataFrame({"key": list(values), "value": list(values.values()), "n": n})


def test_a_score_is_compared_per_image_only_where_every_image_is_stored():
    first, second = {0: "a", 1: "b"}, {0: "c", 1: "d"}
    images = {
        key: np.array(bits, float) for key, bits in zip("abcd", ([1, 0], [1, 1], [0, 0], [0, 1]))
    }
    scores = {key: float(values.mean()) for key, values in images.items()}
    seeds, values = compare.scored(first, second, scores_of(scores, 2), examples_of(images))
    assert (seeds, values.shape) == ([0, 1], (2, 2, 2))
    seeds, values = compare.scored(first, second, scores_of(scores, 1000), examples_of(images))
    assert values.shape == (2, 2, 1)
    assert values[:, :, 0].tolist() == [[0.5, 1.0], [0.0, 0.5]]
    images.pop("d")
    _, values = compare.scored(first, second, scores_of(scores, 2), examples_of(images))
    assert values.shape == (2, 2, 1)
