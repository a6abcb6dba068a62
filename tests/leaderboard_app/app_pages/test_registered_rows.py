"""Without a database the pages show the registered results; whose word a row is, and whether it
came out again.
"""

from pathlib import Path

import pytest

from benchmark.records import rows
from benchmark.records.reports import CheckReport, Compared, Finding, RerunReport
from registry.load import Registry

from ..conftest import outcome_of
from ..pages import ALIKE, every_page, opened, tables, texts

pytestmark = pytest.mark.slow


def counted(outcome):
    """With accuracies that are shares of the images, and hits that are theirs."""
    hits = {}
    scores = []
    for score in outcome.scores:
        if score.metric in ("accuracy", "robust_accuracy"):
            some = round(score.value * score.n)
            hits[score.threat, score.split] = [1.0] * some + [0.0] * (score.n - some)
            score = score.model_copy(update={"value": some / score.n})
        scores.append(score)
    columns = [
        column.model_copy(update={"values": tuple(hits[column.threat, column.split])})
        if column.metric == "correct"
        else column
        for column in outcome.examples
    ]
    return outcome.model_copy(update={"scores": tuple(scores), "examples": tuple(columns)})


def test_without_a_database_the_registered_results_are_shown(home, tmp_path, monkeypatch):
    folder = tmp_path / "results"
    folder.mkdir()
    monkeypatch.setenv("REGBENCH_RESULTS", str(folder))
    once = {trial.key: trial for _, trial in Registry().select(["quickstart"])}.values()
    rows.write(folder / "quickstart.jsonl", [counted(outcome_of(trial)) for trial in once])
    shown = tables(opened(track="quickstart"))
    assert shown["Rank"].notna().all()
    assert shown["Seeds"].tolist() == [3] * 6
    assert set(shown["Source"]) == {"registered"}
    for page, app in every_page(track="quickstart"):
        assert not app.warning, page
    assert not list(home.glob("*.duckdb"))


@pytest.mark.parametrize("lost", ["jsonl", "parquet"])
def test_registered_rows_that_cannot_be_read_give_one_line(home, tmp_path, monkeypatch, lost):
    folder = tmp_path / "results"
    folder.mkdir()
    monkeypatch.setenv("REGBENCH_RESULTS", str(folder))
    _, trial = Registry().select(["quickstart"])[0]
    rows.write(folder / "quickstart.jsonl", [counted(outcome_of(trial))])
    if lost == "jsonl":
        (folder / "quickstart.jsonl").write_text("{\n")
    else:
        (folder / "quickstart.parquet").unlink()
    for page, app in every_page():
        told = [warning.value.replace("\\", "") for warning in app.warning]
        assert len(told) == (Path(page).stem not in ALIKE), page
        assert all("quickstart." in line for line in told), page


def test_a_claim_is_shown_as_one_and_a_run_here_as_that(fill, home, tmp_path, monkeypatch):
    folder = tmp_path / "results"
    folder.mkdir()
    monkeypatch.setenv("REGBENCH_RESULTS", str(folder))
    once = {trial.key: trial for _, trial in Registry().select(["quickstart"])}.values()
    standing = {"jacobian": "claimed", "curvature": "verified"}
    mine = [counted(outcome_of(trial)) for trial in once if trial.entry.regularizer in standing]
    marked = [
        row.model_copy(
            update={"provenance": row.provenance | {"standing": standing[row.regularizer]}}
        )
        for row in mine
    ]
    rows.write(folder / "quickstart.jsonl", marked)
    fill(
        "quickstart",
        status=lambda trial: None if trial.entry.regularizer in standing else "finished",
    )
    shown = tables(opened(track="quickstart")).set_index("Method")["Source"]
    assert shown.to_dict() == dict.fromkeys(shown.index, "here") | standing


def test_the_last_rerun_is_told_where_the_track_is(fill, home):
    first, second, *_ = fill("quickstart", seeds=1)
    assert "regbench rerun" in texts(opened(track="quickstart"))
    home.mkdir(exist_ok=True)
    rows = (
        Compared(key=first.key, entry="a", seed=0, verdict="exact"),
        Compared(
            key=second.key,
            entry="b <b>",
            seed=1,
            verdict="drifted",
            why="accuracy 0.1 instead of 0.9",
            drift=7.0,
        ),
        Compared(key="0" * 16, entry="another track", seed=0, verdict="drifted"),
    )
    RerunReport(finished="2026-01-02T03:04:05+00:00", rows=rows).write(home)
    app = opened(track="quickstart")
    assert "of 2 registered rows 1 came out the same to the last bit, 1 drifted" in texts(app)
    [drifted] = [frame.value for frame in app.dataframe if "What" in frame.value]
    assert drifted["Entry"].tolist() == ["b <b>"]
    (home / "rerun.json").write_text("{")
    assert "is no report of a rerun" in texts(opened(track="quickstart"))


def test_what_the_checks_last_said_is_told(home):
    page = "app_pages/submit.py"
    assert "Nothing has been checked yet" in texts(opened(page))
    CheckReport(
        "my_method", [Finding("it learns", True, "90 %"), Finding("it <i>fails</i>", False, "NaN")]
    ).write(home)
    app = opened(page)
    [table] = [frame.value for frame in app.dataframe]
    assert table["Result"].tolist() == ["ok", "FAIL"]
    assert table["Found"].tolist() == ["90 %", "NaN"]
    (home / "checks" / "my_method.json").write_text("[]")
    assert "is no report of a check" in texts(opened(page))


def test_a_class_s_images_are_told_as_a_part_of_those_that_rank(home, monkeypatch):
    monkeypatch.delenv("REGBENCH_RESULTS")
    said = texts(opened("app_pages/compare.py", track="open-fashion"))
    assert said.count("On the first 100 of the score's 1000 test images") == 2
    assert "On the first 1000 test images." in said
