"""Cards, tracks and databases are foreign text: shown as it is, never read as HTML, Markdown or
SQL.
"""

import re

import duckdb
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from benchmark.records.home import DATABASE
from benchmark.review.check import CARD_TEXTS
from leaderboard_app.reading import queries, registries
from registry.load import Registry

from ..pages import APP, PAGES

pytestmark = pytest.mark.slow

HOSTILE = (
    """<script>alert(1)</script>'"; DROP TABLE trial;-- **b** [x](javascript:1) $y$ :red[z] """
    "<img src=x onerror=alert(2)> ` ![y](https://evil.example/y.png) ``` "
)


@pytest.fixture
def hostile_registry(registry_copy, monkeypatch):
    """The registry with markup and quotes in every text of one card, one track and one
    architecture.
    """
    card = registry_copy / "regularizers" / "jacobian" / "card.toml"
    quoted = "'''" + HOSTILE.replace("'''", "") + "'''"
    text = card.read_text()
    for field in (*CARD_TEXTS, "doc"):
        text = re.sub(
            rf"(?m)^{field} = .*$", lambda match, field=field: f"{field} = {quoted}", text
        )
    card.write_text(text)
    track = registry_copy / "tracks" / "quickstart.toml"
    text = re.sub(r"(?m)^title = .*$", lambda match: f"title = {quoted}", track.read_text())
    text = re.sub(r'(?s)notes = """.*?"""', lambda match: f"notes = {quoted}", text)
    fields = "".join(
        f"{field} = {quoted}\n" for field in ("paper", "architecture", "regularizer", "metric")
    )
    text += f"\n[[reported]]\n{fields}value = 0.5\n"
    track.write_text(text)
    lenets = registry_copy / "architectures" / "lenet.toml"
    lenets.write_text(
        re.sub(r"(?m)^title = .*$", lambda match: f"title = {quoted}", lenets.read_text())
    )
    known = Registry(registry_copy, registry_copy / "none")
    for module in (registries, queries):
        monkeypatch.setattr(module, "registry_of", lambda version: known)
    assert known.regularizer("jacobian").card.authors == HOSTILE
    return known


def rendered(app: AppTest):
    """Every element that the browser reads as Markdown or HTML."""
    for kind in (
        "markdown",
        "caption",
        "info",
        "warning",
        "error",
        "title",
        "header",
        "subheader",
        "success",
    ):
        yield from getattr(app, kind)


def unescaped(text: str) -> str:
    """Without escaped signs and without code, which are shown as they are."""
    return re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", re.sub(r"\\.", "", text))


def test_a_card_and_a_track_full_of_markup_show_as_text(fill, hostile_registry):
    fill(
        "quickstart",
        status=lambda trial: "failed" if trial.entry.regularizer == "curvature" else "finished",
    )
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params.update({"track": "quickstart", "regularizer": "jacobian", "first": "jacobian"})
    app.run()
    seen = ""
    for page in PAGES:
        app.switch_page(page)
        app.query_params.update({"regularizer": "jacobian"})
        app.run()
        assert not app.exception, f"{page}: {app.exception}"
        for element in rendered(app):
            assert not getattr(element, "allow_html", False), page
            text = unescaped(element.value)
            for live in ("<script", "<img", "[x](", "![y](", "**b**", "$y$", ":red["):
                assert live not in text, f"{page}: {element.value}"
        assert not app.get("html"), page
        seen += "".join(str(frame.value.to_dict()) for frame in app.dataframe) + "".join(
            c.value for c in app.text
        )
    assert "DROP TABLE trial" in seen  # it is shown


def test_a_search_for_markup_or_sql_is_only_a_search(fill):
    fill("quickstart", seeds=1)
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params.update({"search": HOSTILE, "track": HOSTILE})
    app.run()
    assert not app.exception
    assert "No method matches" in "".join(element.value for element in app.info)
    for element in rendered(app):
        assert "<script" not in unescaped(element.value)
    assert len(fill.store.query("SELECT * FROM trial")) > 0


def test_text_of_the_database_shows_as_text(fill, home):
    trials = fill("quickstart", seeds=1)
    with duckdb.connect(str(home / DATABASE)) as connection:
        connection.execute("UPDATE attempt SET status = 'failed', error = ?", [HOSTILE])
        connection.execute(
            "UPDATE trial SET provenance = json_object('device', ?, 'torch', ?)", [HOSTILE, HOSTILE]
        )
        connection.execute("UPDATE score SET flags = [?] WHERE threat = 'honesty'", [HOSTILE])
    st.cache_data.clear()
    for page in PAGES:
        app = AppTest.from_file(APP, default_timeout=60)
        app.query_params.update({"track": "quickstart", "regularizer": "jacobian"})
        app.run()
        app.switch_page(page).run()
        assert not app.exception, f"{page}: {app.exception}"
        for element in rendered(app):
            assert "<script" not in unescaped(element.value), page
    assert len(fill.store.query("SELECT * FROM trial")) == len({trial.key for trial in trials})
