"""Without a database the pages show the registered results."""
from registry.load import Registry

from .conftest import outcome_of
from .pages import every_page, opened, tables


def test_without_a_database_the_registered_results_are_shown(home, tmp_path, monkeypatch):
    folder = tmp_path / "results"
    folder.mkdir()
    monkeypatch.setenv("REGBENCH_RESULTS", str(folder))
    once = {trial.key: trial for _, trial in Registry().select(["quickstart"])}.values()
    lines = [outcome_of(trial, "finished").model_dump_json(by_alias=True) for trial in once]
    (folder / "quickstart.jsonl").write_text("\n".join(lines) + "\n")
    shown = tables(opened(track="quickstart"))
    assert shown["Rank"].notna().all()
    assert shown["Seeds"].tolist() == [3] * 6
    for page, app in every_page(track="quickstart"):
        assert not app.warning, page
    assert not list(home.glob("*.duckdb"))
