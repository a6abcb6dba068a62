"""The charts of a page: which methods they hold, how many images, and their titles."""

import json

import pytest
from streamlit.testing.v1 import AppTest

from benchmark.records.outcome import Examples, Outcome

from ..pages import opened, texts

pytestmark = pytest.mark.slow


def charts(app):
    """Title → chart."""
    found = [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]
    titled = {chart["layout"]["title"]["text"].replace("<br>", " "): chart for chart in found}
    assert len(titled) == len(found)
    return titled


def test_a_few_methods_are_beside_each_other_and_the_images_behind_them_are_counted(fill):
    fill("quickstart", seeds=2)
    app = opened("app_pages/margins.py", track="quickstart")
    picked = app.multiselect(key="widget beside")
    assert len(picked.value) == 5 < len(picked.options) and "none" in picked.value
    drawn = {trace["name"] for trace in charts(app)["Margin"]["data"]}
    assert drawn == set(picked.value)
    assert texts(app).count("40 images of each model, all seeds") == 3
    app.switch_page("app_pages/robustness.py").run()
    assert texts(app).count("40 images of each model, all seeds") == 2


def one_chart():
    import pandas as pd

    from leaderboard_app.figures.canvas import figure
    from leaderboard_app.reading.charts import chart

    chart(figure("C&W ℓ2 < ε", "x", "y"), "name", pd.DataFrame())


def test_a_chart_is_read_out_by_its_title_as_it_is_seen():
    [chart] = AppTest.from_function(one_chart).run().get("plotly_chart")
    assert chart.proto.alt == "C&W ℓ2 < ε"


def test_the_theory_of_ten_classes_says_nothing_of_two_and_titles_no_two_charts_alike(fill):
    common = {"threat": "margin_curvature", "split": "test", "examples": 2}
    columns = [
        Examples(metric=name, values=(0.5, 0.7), **common)
        for name in ("margin_hessian_norm", "hessian_along_gradient")
    ]
    trials = fill("cross-hoelder-fashion")
    fill.store.record(
        Outcome.of(trial, status="finished", examples=tuple(columns)) for trial in trials
    )
    app = opened("app_pages/theory.py", track="cross-hoelder-fashion")
    assert len(charts(app)) == 2
    assert "wo classes" not in texts(app)
    assert "2 images of each model, all seeds" in texts(app)
