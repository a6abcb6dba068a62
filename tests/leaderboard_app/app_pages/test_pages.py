"""Every page, run without a browser, on every state that a database can be in."""

import json
import math
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
import streamlit as st

from benchmark.records.home import DATABASE
from leaderboard_app.reading import downloads
from registry.load import Registry

from ...benchmark.command import regbench
from ..pages import ALIKE, APP, PAGES, every_page, opened, tables, texts

pytestmark = pytest.mark.slow


def test_without_a_database_every_page_says_what_to_run(home):
    for page, app in every_page():
        name = Path(page).stem
        if name not in ("theory", *ALIKE):
            said = texts(app) + "\n".join(element.value for element in app.code)
            assert "regbench run" in said, page
            assert "RegBench · rows of" in texts(app).replace("\\", ""), page  # the page is whole
    assert not home.exists()  # reading makes nothing


def test_an_empty_database_is_as_good_as_none(home):
    home.mkdir()
    duckdb.connect(str(home / DATABASE)).close()
    assert len([page for page, _ in every_page()]) == len(PAGES)


@pytest.mark.parametrize("track", ["quickstart", "guo-fashion-binary"])
def test_every_page_shows_a_filled_database(fill, track):
    fill(track, seeds=2)
    for page, app in every_page(track=track):
        assert not app.warning, page


def spoiled(trial):
    """Diverged, missing and failed trials of every method but two."""
    fate = (trial.seed + int(10 * trial.entry.strength)) % 4
    return (
        "finished"
        if trial.entry.regularizer in ("none", "jacobian")
        else ["finished", "diverged", None, "failed"][fate]
    )


def test_malformed_rows_break_no_page(fill, home):
    fill("quickstart", status=spoiled)
    with duckdb.connect(str(home / DATABASE)) as connection:
        connection.execute(
            "UPDATE score SET value = 'nan' "
            "WHERE metric = 'relative_distance' AND hash(trial_key) % 3 = 0"
        )
        connection.execute(
            """UPDATE example SET "values" = ['nan'::FLOAT, 'inf'::FLOAT, 1]
            WHERE hash(trial_key) % 2 = 0"""
        )
        connection.execute("""UPDATE example SET "values" = [] WHERE hash(trial_key) % 5 = 0""")
        connection.execute("UPDATE trial SET train_seconds = 'nan' WHERE regularizer = 'none'")
    assert len([page for page, _ in every_page()]) == len(PAGES)


def test_a_file_that_is_no_database_gives_one_line_that_says_what_to_do(home):
    home.mkdir()
    (home / DATABASE).write_bytes(b"no database" * 100)
    for page, app in every_page():
        if Path(page).stem not in ALIKE:
            assert any("regbench collect" in warning.value for warning in app.warning), page


def test_a_database_held_by_a_writer_gives_a_line_that_names_it(fill, home, monkeypatch):
    fill("quickstart", seeds=1)
    monkeypatch.setattr("leaderboard_app.reading.queries.PATIENCE", 0.2)
    hold = (
        f"import duckdb, sys; c = duckdb.connect({str(home / DATABASE)!r}); "
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        app = opened()
        holder.stdin.close()
    assert not app.exception
    [warning] = app.warning
    assert f"process {holder.pid}" in warning.value.replace("\\", "")


@pytest.mark.parametrize("name", ["quickstart", "guo-fashion-binary"])
def test_the_table_equals_what_rank_prints(fill, name):
    fill(
        name,
        seeds=3,
        status=lambda trial: (
            None if "curv" in trial.entry.regularizer and trial.seed else "finished"
        ),
    )
    table = pd.DataFrame(json.loads(regbench("rank", name, "--json").stdout))
    app = opened(track=name)
    shown = tables(app)
    assert shown["Method"].tolist() == table["regularizer"].tolist()
    assert shown["Rank"].astype("Int64").tolist() == table["rank"].astype("Int64").tolist()
    assert shown["Note"].dropna().tolist() == table["why"].tolist()
    assert shown["Tier"].tolist() == table["tier"].tolist()
    labels = {
        "clean": "Clean",
        "pgd-inf-0.1": "PGD ℓ∞ ε=0.1",
        "deepfool-2": "DeepFool ℓ2",
        "lambda": "λ",
        "cost": "Cost ×",
        "worst": "Worst case",
    }
    for column, heading in labels.items():
        np.testing.assert_allclose(
            shown[heading].astype(float), table[column].astype(float), atol=1e-14
        )


def test_the_rank_the_method_and_the_score_that_ranks_fit_a_phone(fill):
    fill("quickstart", seeds=2)
    app = opened(track="quickstart")
    config = json.loads(app.dataframe[0].proto.columns)
    shown = list(app.dataframe[0].value)
    assert shown[:3] == ["Rank", "Method", "PGD ℓ∞ ε=0.1"]
    widths = [config.get(heading, {}).get("width") for heading in shown]
    tick, padding = 36, 32  # the column of boxes, and the page's two edges
    assert tick + sum(widths[:3]) <= 400 - padding
    place = shown.index("Source")
    assert tick + sum(width or 150 for width in widths[: place + 1]) <= 1440 - 160


def test_search_and_filter_keep_the_rows_that_match(fill):
    fill(
        "quickstart",
        status=lambda trial: None if trial.entry.regularizer == "curvature" else "finished",
    )
    app = opened()
    app.text_input[0].set_value("LIPSCHITZ").run()
    assert tables(app)["Method"].tolist() == ["cross_lipschitz"]
    app.text_input[0].set_value("incomplete").run()
    assert tables(app)["Method"].tolist() == ["curvature"]
    app.toggle[0].set_value(True).run()
    assert "No method matches" in texts(app)


def test_marked_rows_are_compared_and_no_others_once_the_table_changes(fill, monkeypatch):
    fill("quickstart", seeds=1)
    keys, dataframe = [], st.dataframe

    def seen(rows, **options):
        keys.append(options.get("key"))
        return dataframe(rows, **options)

    monkeypatch.setattr(st, "dataframe", seen)
    app = opened(track="quickstart")
    shown = tables(app)["Method"].tolist()
    marks = {"selection": {"rows": [0, 1], "columns": [], "cells": []}}
    app.session_state[keys[-1]] = marks
    assert any(f"{shown[0]} with {shown[1]}" in button.label for button in app.run().button)
    app.selectbox(key="widget sort").select("cost").run()
    assert tables(app)["Method"].tolist() != shown
    assert not any(" with " in button.label for button in app.button)


def test_the_heads_of_the_board_say_how_many_images_and_which_a_number_is_of(fill):
    fill("quickstart", seeds=1)
    fill("guo-binary-mnist", seeds=1)
    for name, images in (("quickstart", "all test images"), ("guo-binary-mnist", "1000 images")):
        config = json.loads(opened(track=name).dataframe[0].proto.columns)
        assert f"APGD and PGD on the margin as well, on {images}." in config["Tier"]["help"]
        assert config["DeepFool ℓ2"]["help"].endswith("deepfool-2, of the images that it broke.")


def test_the_whole_board_is_seen_and_what_a_search_finds_is_taken_away(fill, monkeypatch):
    fill("quickstart", seeds=1)
    tall, taken, dataframe = [], [], st.dataframe

    def seen(rows, **options):
        tall.append(options.get("height") == "content")
        return dataframe(rows, **options)

    monkeypatch.setattr(st, "dataframe", seen)
    monkeypatch.setattr(downloads, "take_away", lambda raw, *_: taken.append(raw["regularizer"]))
    opened(track="quickstart", search="lipschitz")
    assert all(tall)
    assert [names.tolist() for names in taken] == [["cross_lipschitz"]]


def test_nothing_in_the_database_reaches_the_page_as_html(fill):
    fill(
        "quickstart",
        status=lambda trial: "failed" if trial.entry.regularizer == "curvature" else "finished",
    )
    for _, app in every_page():
        for element in (*app.markdown, *app.info, *app.warning, *app.caption):
            assert not getattr(element, "allow_html", False)
            assert "<b>" not in element.value


def test_the_pages_load_no_torch(home):
    check = f"""
import sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file({str(APP)!r}, default_timeout=60).run()
for page in {PAGES!r}:
    app.switch_page(page).run()
    assert not app.exception, app.exception
assert 'torch' not in sys.modules, 'torch was imported'
"""
    done = subprocess.run(
        [sys.executable, "-c", check],
        cwd=APP.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_equivalence_page_says_the_largest_gap_and_where_it_is(fill):
    trials = fill("guo-fashion-binary", seeds=3)
    app = opened("app_pages/equivalence.py", track="guo-fashion-binary")
    scores = fill.store.scores({trial.key for trial in trials})
    mine = scores[
        (scores["architecture"] == "lenet_300_100")
        & (scores["split"] == "test")
        & scores["metric"].isin(["accuracy", "robust_accuracy"])
    ]
    means = mine.groupby(["regularizer", "threat", "lambda"])["value"].mean()
    gaps = (means["jacobian"] - means["cross_lipschitz"]).abs()
    threat, strength = gaps.idxmax()
    [said] = [element.value for element in app.markdown if element.value.startswith("Of accuracy:")]
    assert f"**{100 * gaps.max():.1f} points**" in said
    assert f"at λ = {strength:g}:" in said
    assert {"clean": "clean accuracy", "fgsm": "FGSM", "pgd": "PGD"}[threat.split("-")[0]] in said


def test_where_no_lambda_matches_the_page_says_at_which_each_method_ran(fill):
    fill(
        "quickstart",
        seeds=2,
        status=lambda trial: (
            "finished" if trial.entry.regularizer in ("none", "jacobian") else None
        ),
    )
    app = opened("app_pages/equivalence.py")
    assert not app.exception
    assert "no matched λ" in texts(app)
    assert "`cross_lipschitz` at none" in texts(app)


def test_a_track_of_variants_alone_is_not_one_of_the_two_that_are_paired(fill, own_track):
    methods = {f'"{name}"': f'"{name}:projections=1"' for name in ("jacobian", "cross_lipschitz")}
    fill(own_track(methods), seeds=1)
    assert "This track has no" in texts(opened("app_pages/equivalence.py", track="own"))


def test_where_no_method_is_chosen_nothing_is_said_of_what_has_run(fill):
    fill("quickstart", seeds=1)
    app = opened("app_pages/equivalence.py", track="quickstart")
    app.multiselect(key="widget method").set_value([]).run()
    assert "No method is chosen." in texts(app) and "regbench run" not in texts(app)


def test_the_runs_page_counts_as_plan_does_and_shows_why_a_trial_failed(fill, home):
    fill(
        "quickstart",
        seeds=2,
        status=lambda trial: "failed" if trial.entry.regularizer == "curvature" else "finished",
    )
    plan = json.loads(regbench("plan", "quickstart", "--json").stdout)
    app = opened("app_pages/runs.py")
    counts = {metric.label: int(metric.value) for metric in app.metric}
    assert counts["Trials, with references"] == plan["trials"]
    assert counts["Done"] == plan["done"] > 0
    assert counts["Failed so far"] == 6  # three λ, two seeds
    failures = next(frame.value for frame in app.dataframe if len(frame.value) == 6)
    assert set(failures["Error"]) == {
        "RuntimeError: out of <b>memory</b>"
    }  # a table's cell is text


def test_each_trial_of_a_method_has_the_command_that_reproduces_it(fill):
    fill("quickstart", seeds=1)
    app = opened("app_pages/method.py", track="quickstart", regularizer="jacobian")
    trials = app.dataframe[1].value
    known = Registry()
    for row in trials.to_dict("records"):
        words = row["Command"].split()
        selected = [
            trial
            for _, trial in known.select([words[2].strip("'")], int(words[4]))
            if trial.seed == row["Seed"]
        ]
        assert row["Key"] in {trial.key for trial in selected}
    assert trials["Status"].tolist().count("finished") == 3  # one seed of three λ


def test_a_margin_changes_the_verdict(fill):
    fill("guo-fashion-binary", seeds=3)
    app = opened("app_pages/equivalence.py", track="guo-fashion-binary")
    app.number_input[0].set_value(50.0).run()
    every = "λ = 0.1: shown in every score."
    assert every in texts(app)
    app.number_input[0].set_value(0.1).run()
    assert every not in texts(app)
    assert math.isclose(app.number_input[0].value, 0.1)
