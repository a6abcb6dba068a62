"""The command beside a trial repeats it."""

from leaderboard_app.tables.method import command
from registry.load import Registry


def test_a_row_that_was_brought_is_repeated_by_rerun_and_one_from_here_by_run():
    _, trial = Registry().select(["quickstart"])[0]
    assert command(trial, "here").startswith("regbench run ")
    for source in ("registered", "claimed", "verified"):
        assert command(trial, source).startswith(f"regbench rerun '{trial.entry.id}' --seeds ")
