"""Two methods beside each other have the values that the leaderboard has."""

import math

import numpy as np
import pandas as pd
from scipy.special import stdtrit
from streamlit.testing.v1 import AppTest

from benchmark.ranking.comparison import Differences
from benchmark.ranking.selection import selected_trials
from leaderboard_app.reading import queries
from leaderboard_app.words.labels import difference, percent
from registry.load import Registry

from ..conftest import outcome_of
from ..pages import opened, texts


def said(app: AppTest) -> pd.DataFrame:
    return next(frame.value for frame in app.dataframe if "Difference" in frame.value.columns)


def test_every_score_is_the_leaderboards(fill):
    fill("quickstart")
    app = opened("app_pages/compare.py", track="quickstart", first="jacobian", second="none")
    assert not app.exception
    shown, board = (
        said(app).set_index("Quantity"),
        queries.standings(Registry().track("quickstart")),
    )
    for row in board[board["regularizer"].isin(["jacobian", "none"])].to_dict("records"):
        assert shown.loc["Clean", row["regularizer"]] == percent(row["clean"])
        assert shown.loc["PGD ℓ∞ ε=0.1", row["regularizer"]] == percent(row["pgd-inf-0.1"])
        assert shown.loc["Worst case", row["regularizer"]] == percent(row["worst"])
    assert shown.loc["Worst case", "Difference"] != ""
    assert "+0.0 [+0.0, +0.0]" not in shown["Difference"].tolist()


def test_an_interval_is_as_wide_as_on_a_board_of_the_two(fill):
    trials = fill("quickstart")
    track = Registry().track("quickstart")
    app = opened("app_pages/compare.py", track="quickstart", first="jacobian", second="none")
    board = queries.standings(track)
    pair = board.set_index("regularizer").loc[["jacobian", "none"]].reset_index()
    scores = fill.store.scores({trial.key for trial in trials})
    mine = scores[(scores["threat"] == track.headline) & (scores["split"] == "test")]
    value = dict(zip(mine["key"], mine["value"]))
    groups = selected_trials(trials, pair)
    values = np.array([[[value[trial.key]] for trial in group] for group in groups])
    found = Differences.of(values, pair["tried"].to_numpy() > 1)
    half = stdtrit(found.freedom[0, 1], 0.975) * found.error[0, 1]
    mean = found.mean[0, 1]
    told = said(app).set_index("Quantity").loc["PGD ℓ∞ ε=0.1", "Difference"]
    assert told == difference(mean, mean - half, mean + half)
    assert pair["tried"].tolist() == [3, 1]  # so that the seeds of one count for less
    assert "bootstrap" not in texts(app)


def withstood(trial):
    """As `outcome_of`, with infinite distances of images 0 and 3."""
    outcome, columns = outcome_of(trial), []
    for column in outcome.examples:
        if column.metric == "relative_distance":
            values = (math.inf, *column.values[1:3], math.inf, *column.values[4:])
            column = column.model_copy(update={"values": values})
        columns.append(column)
    return outcome.model_copy(update={"examples": tuple(columns)})


def test_images_keep_their_class_where_others_are_withstood(fill, own_track):
    own_track({'headline = "pgd-inf-0.1"': 'headline = "deepfool-2"'})
    once = {trial.key: trial for _, trial in Registry().select(["own"])}.values()
    fill.store.record(
        withstood(trial) if trial.entry.regularizer == "jacobian" else outcome_of(trial)
        for trial in once
    )
    app = opened("app_pages/compare.py", track="own", first="jacobian", second="none")
    assert not app.exception
    told = texts(app).replace("\\", "")
    assert "On the first 40 test images, less 2 whose distance is infinite." in told
    assert "mean ‖r‖/‖x‖ over seeds:" in told and "share of seeds" not in told
    assert "as not every image is stored, or its distance is infinite:" in told
    [images] = [frame.value for frame in app.dataframe if "image" in frame.value]
    assert sorted(images["image"]) == sorted({*range(40)} - {0, 3})
    classes = Registry().dataset("digits").classes
    assert images["class"].tolist() == [classes[i % len(classes)] for i in images["image"]]


def test_what_ranks_is_compared_class_by_class_and_image_by_image(fill):
    fill("open-fashion", seeds=1)
    app = opened("app_pages/compare.py", track="open-fashion", first="jacobian", second="none")
    assert not app.exception
    assert "Worst case, over all seeds" in texts(app)


def test_the_same_models_are_not_compared_and_other_strengths_of_one_method_are(fill):
    fill("quickstart", seeds=2)
    app = opened("app_pages/compare.py", track="quickstart", first="jacobian", second="jacobian")
    assert "same models" in texts(app)
    app.selectbox(key="widget second_lambda").select(
        next(
            text
            for text in ("0.01", "0.1", "0.4")
            if text != app.selectbox(key="widget first_lambda").value
        )
    ).run()
    assert not app.exception
    assert list(said(app))[1].startswith("jacobian, λ = ")


def test_another_method_brings_its_own_selected_strength(fill):
    fill("quickstart")
    app = opened("app_pages/compare.py", track="quickstart", first="jacobian", second="none")
    assert app.selectbox(key="widget second_lambda").value == "0"
    app.selectbox(key="widget second").select("curvature").run()
    assert app.selectbox(key="widget second_lambda").value in ("0.01", "0.1", "0.4")
    assert app.query_params["second_lambda"] == app.selectbox(key="widget second_lambda").value
    assert not app.warning
