"""No image is both certified and broken: the database sees it where one is, and the row is never
ranked.
"""

import pytest

from benchmark.ranking.board import board
from benchmark.records import registered
from benchmark.records.outcome import Examples, Outcome, Score
from benchmark.records.store import Store
from registry.load import Registry
from registry.places import HERE

REGISTRY = Registry()
TRACK = REGISTRY.track("quickstart")
TRIALS = [trial for _, trial in REGISTRY.select(["quickstart"])]


def outcome(trial, columns, scores=()):
    rows = [
        Examples(threat=threat, split="test", metric=metric, examples=len(values), values=values)
        for (threat, metric), values in columns.items()
    ]
    return Outcome.of(
        trial, status="finished", train_seconds=1.0, examples=tuple(rows), scores=tuple(scores)
    )


def refuted(tmp_path, proven, attacked, values):
    """The share that the database finds refuted where images 1 and 2 are proven within a ball."""
    store = Store(tmp_path / "rows.duckdb")
    columns = {(proven, "certified"): (1.0, 1.0, 0.0, 0.0), attacked: values}
    store.record([outcome(TRIALS[0], columns)])
    found = store.scores([TRIALS[0].key])
    found = found[found["metric"] == "certified_and_broken"]
    assert [list(flags) for flags in found["flags"]] == [["certified_and_broken"]] * len(found)
    return found["value"].tolist()


@pytest.mark.parametrize(
    ("proven", "attacked", "values", "share"),
    [
        ("certified-inf-0.1", ("pgd-inf-0.1", "correct"), (1.0, 0.0, 0.0, 0.0), [0.25]),
        ("certified-inf-0.1", ("pgd-inf-0.1", "correct"), (1.0, 1.0, 0.0, 0.0), []),
        ("certified-inf-0.1", ("pgd-inf-0.05-steps=50", "correct"), (0.0, 0.0, 0.0, 0.0), [0.5]),
        ("certified-inf-0.1", ("pgd-inf-0.2", "correct"), (0.0, 0.0, 0.0, 0.0), []),
        ("certified-inf-1e-05", ("apgd-inf-1e-06", "correct"), (0.0, 1.0, 1.0, 1.0), [0.25]),
        ("certified-inf-0.1", ("clean", "correct"), (0.0, 1.0, 1.0, 1.0), [0.25]),
        ("certified-inf-0.1", ("fmn-inf", "distance"), (0.09, 0.0999999, 0.0, 0.0), [0.25]),
        ("certified-inf-0.5", ("pgd-2-0.5", "correct"), (0.0, 1.0, 1.0, 1.0), [0.25]),
        ("certified-2-0.5", ("pgd-inf-0.5", "correct"), (0.0, 1.0, 1.0, 1.0), []),
        ("certified-2-0.5", ("carlini_wagner-2", "distance"), (0.4, 0.6, 0.0, 0.0), [0.25]),
        ("certified-inf-0.1", ("pgd-inf-0.1", "correct"), (0.0,), [1.0]),
    ],
)
def test_an_attack_within_a_certified_ball_refutes_its_certificate(
    tmp_path, proven, attacked, values, share
):
    assert refuted(tmp_path, proven, attacked, values) == share


def certified_row(trial, broken):
    """All that the track asks for, and a certificate that holds or, on one image, does not."""
    scores = [
        Score(threat=part.name, split=part.split, examples=part.examples, n=part.examples,
              metric="accuracy" if part.name == "clean" else "robust_accuracy", value=0.95)
        for part in trial.evaluation
    ]  # fmt: skip
    proof = TRACK.certificates(360)[4]
    columns = {
        (TRACK.headline, "correct"): (0.0, *[1.0] * 359),
        (proof.name, "certified"): (float(broken), *[1.0] * 199),
    }
    return outcome(trial, columns, scores)


def test_a_row_whose_certificate_is_refuted_is_never_ranked(tmp_path):
    store = Store(tmp_path / "rows.duckdb")
    store.record(
        certified_row(trial, broken=trial.entry.regularizer == "jacobian" and trial.seed == 1)
        for trial in {trial.key: trial for trial in TRIALS}.values()
    )
    table = board(TRACK, TRIALS, store).set_index("regularizer")
    assert table.loc["jacobian", "flags"] == "certified_and_broken"
    assert table.loc["jacobian", "why"].startswith("flagged: 0.5 % of the images are certified and")
    assert table["rank"].isna().sum() == 1
    assert table["rank"].isna()["jacobian"]
    assert set(store.contradictions()["seed"]) == {1}


def test_no_registered_row_is_contradicted(home, monkeypatch):
    monkeypatch.setenv("REGBENCH_RESULTS", str(HERE / "results"))
    store = registered.open_store(home)
    assert store.count() > 500
    assert store.contradictions().empty
