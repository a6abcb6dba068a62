"""What an address opens: the page, its track, and what is said of a track that is not there."""

import pytest
from streamlit.testing.v1 import AppTest

from registry.load import Registry

from ..pages import APP, every_page, opened, tables, texts

pytestmark = pytest.mark.slow


def test_a_deep_link_opens_its_track_and_the_picker_changes_the_address(fill):
    fill("quickstart", seeds=1)
    fill("guo-fashion-binary", seeds=1)
    app = opened(track="guo-fashion-binary")
    assert app.selectbox[0].value == "guo-fashion-binary"
    methods = {
        (entry.architecture, entry.regularizer)
        for entry in Registry().entries("guo-fashion-binary")
    }
    assert len(tables(app)) == len(methods)
    app.selectbox[0].select("quickstart").run()
    assert app.query_params["track"] == "quickstart"
    assert len(tables(app)) == 6
    app.selectbox[0].select("guo-fashion").run()  # a second and a third choice hold as well
    app.selectbox[0].select("quickstart").run()
    assert app.selectbox[0].value == app.query_params["track"] == "quickstart"
    app.switch_page("app_pages/equivalence.py").run()
    assert app.selectbox[0].value == "quickstart"  # remembered from page to page


def test_the_pages_open_on_the_track_with_rows_that_compares_the_most_methods(fill):
    fill("quickstart", seeds=1)
    app = opened()
    assert app.selectbox(key="widget track").value == "quickstart"
    once = iter([True])
    fill("open-fashion", seeds=1, status=lambda trial: "finished" if next(once, False) else None)
    app = opened()
    assert app.selectbox(key="widget track").value == "open-fashion"
    app = opened("app_pages/theory.py")  # which needs two classes
    assert app.selectbox(key="widget track").value != "open-fashion"


def test_an_old_link_to_the_first_page_opens_the_leaderboard_of_its_track(fill):
    fill("quickstart", seeds=1)
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params["track"] = "quickstart"
    app.run()
    assert [title.value for title in app.title] == ["Leaderboard"]
    assert len(tables(app)) == 6


@pytest.mark.parametrize("page", ["equivalence", "theory", "method"])
def test_a_track_that_a_page_cannot_show_stays_chosen_and_the_page_says_who_can(fill, page):
    fill("guo-fashion-binary", seeds=1)
    app = opened(f"app_pages/{page}.py", track="wen-fashion", regularizer="cross_lipschitz")
    assert not app.exception
    assert app.selectbox(key="widget track").value == "wen-fashion"
    assert app.query_params["track"] == "wen-fashion"
    assert "This track has no" in texts(app)
    links = [element.proto.label.replace("\\", "") for element in app.get("page_link")]
    assert any("(guo-fashion-binary)" in label for label in links)
    assert not any("(wen-fashion)" in label for label in links)
    assert not app.warning


@pytest.mark.parametrize("track", ["wen-fashion", "guo-binary-cifar10", "roth-svhn"])
def test_a_link_to_any_page_on_any_track_never_says_did_you_mean(home, track):
    architecture = Registry().track(track).architectures[0]
    choices = {"track": track, "architecture": architecture, "regularizer": "cross_lipschitz"}
    for page, app in every_page(**choices):
        assert "did you mean" not in texts(app), page


def test_a_method_that_a_track_has_as_a_variant_is_found_by_its_name(fill):
    fill("roth-fashion", seeds=1)
    app = opened("app_pages/margins.py", track="roth-fashion", regularizer="adversarial_training")
    assert app.selectbox(key="widget regularizer").value == "adversarial_training:norm=2"
    assert not app.warning


@pytest.mark.parametrize(
    ("page", "key"), [("find", "cost"), ("robustness", "shown"), ("margins", "beside")]
)
def test_a_default_moves_with_the_track_and_a_choice_stays(fill, page, key):
    def widget(app):
        return (app.number_input if key == "cost" else app.multiselect)(key=f"widget {key}")

    def cheap(trial):
        return "finished" if key != "cost" or trial.entry.strength <= 1e-3 else None

    fill("quickstart", seeds=1)
    fill("guo-binary-mnist", seeds=1, status=cheap)
    page = f"app_pages/{page}.py"
    app = opened(page, track="quickstart")
    before = widget(app).value
    assert key not in app.query_params
    app.selectbox(key="widget track").select("guo-binary-mnist").run()
    fresh = widget(opened(page, track="guo-binary-mnist")).value
    assert widget(app).value == fresh != before
    choice = 1.5 if key == "cost" else ["none"]
    widget(app).set_value(choice).run()
    app.selectbox(key="widget track").select("quickstart").run()
    assert widget(app).value == choice


def test_of_several_methods_in_a_link_those_that_are_there_are_chosen(fill):
    fill("quickstart", seeds=1)
    app = opened("app_pages/robustness.py", track="quickstart", shown=["curvature", "jacobain"])
    assert app.multiselect(key="widget shown").value == ["curvature"]
    [warning] = app.warning
    assert "did you mean 'jacobian'" in warning.value.replace("\\", "")


def test_no_parameter_of_an_address_breaks_the_first_page(fill):
    fill("quickstart", seeds=1)
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params.update({"track": "quickstart", "page": "2"})
    app.run()
    assert not app.exception
    assert [title.value for title in app.title] == ["Leaderboard"]


def test_a_link_to_an_unknown_track_names_the_nearest(fill):
    app = opened(track="quickstrat")
    assert not app.exception
    assert "did you mean 'quickstart'" in app.warning[0].value.replace("\\", "")
