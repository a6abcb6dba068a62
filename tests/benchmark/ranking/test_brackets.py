"""What no attack has broken within a radius, from attacks of many kinds."""

import numpy as np
import pytest

from benchmark.ranking.brackets import brackets, stands
from benchmark.records.outcome import Examples, Outcome
from benchmark.records.store import Store
from registry.load import Registry
from registry.spec import Part, Radius, Threat

TRACK = Registry().track("quickstart")
TRIAL = next(trial for _, trial in Registry().select(["quickstart"]))


def part(**settings):
    threat = Threat(**settings)
    return Part(name=threat.id, split="test", examples=4, threat=threat)


PARTS = [
    Part(name="clean", split="test", examples=4),
    part(attack="pgd", norm="inf", epsilon=0.1),
    part(attack="pgd", norm="inf", epsilon=0.2),
    part(attack="pgd", norm="2", epsilon=0.1),
    part(attack="fmn", norm="inf"),
]


@pytest.mark.parametrize(
    ("name", "metric", "values", "expected"),
    [
        ("clean", "correct", [1, 0, 1, 1], [1, 0, 1, 1]),
        ("pgd-inf-0.1", "correct", [1, 1, 0, 1], [1, 1, 0, 1]),
        ("pgd-inf-0.2", "correct", [0, 0, 0, 0], [1, 1, 1, 1]),  # went further
        ("pgd-2-0.1", "correct", [1, 1, 1, 0], [1, 1, 1, 0]),
        ("fmn-inf", "distance", [0, 0.05, 0.15, np.inf], [0, 0, 1, 1]),
        ("pgd-inf-0.1", "correct", [0, 1], [0, 1, 1, 1]),  # on two images
    ],
)
def test_an_image_stands_unless_an_attack_within_the_radius_broke_it(
    name, metric, values, expected
):
    known = {("clean", "correct"): np.ones(4)} | {(name, metric): np.array(values, float)}
    found = stands(PARTS, known, Radius(norm="inf", epsilon=0.1), 4)
    assert found.tolist() == [bool(value) for value in expected]


def test_a_trial_has_a_row_for_each_radius_once_it_is_certified(tmp_path):
    store = Store(tmp_path / "rows.duckdb")
    columns = {("clean", "correct"): [1, 1, 1, 0], ("fmn-inf", "distance"): [0.2, 0.2, 0.03, 0]}
    for part in TRACK.certificates(360)[:5]:
        columns[part.name, "certified"] = [1, part.radius.epsilon < 0.05, 0, 0]

    def record(columns, key):
        rows = [
            Examples(
                threat=threat,
                split="test",
                metric=metric,
                examples=200,
                values=tuple(map(float, values)),
            )
            for (threat, metric), values in columns.items()
        ]
        outcome = Outcome.of(TRIAL, status="finished", examples=tuple(rows))
        store.record([outcome.model_copy(update={"key": key})])

    record({("clean", "correct"): [1, 1, 1, 0]}, "of another trial")
    assert brackets(TRACK, [TRIAL], store).empty
    record(columns, TRIAL.key)
    found = brackets(TRACK, [TRIAL], store)
    assert found["epsilon"].tolist() == [0.0125, 0.025, 0.05, 0.075, 0.1]
    assert found["certified"].tolist() == [0.5, 0.5, 0.25, 0.25, 0.25]
    assert found["worst"].tolist() == [0.75, 0.75, 0.5, 0.5, 0.5]
    assert found["images"].tolist() == [4] * 5
