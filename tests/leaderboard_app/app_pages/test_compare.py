"""Two methods beside each other have the values that the leaderboard has."""

import pandas as pd
from streamlit.testing.v1 import AppTest

from leaderboard_app.reading import queries
from leaderboard_app.words.labels import percent
from registry.load import Registry

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
