"""A track that has results is fixed: another protocol is another track, name@2."""

import pytest

from benchmark.records.export import PROTOCOLS, protocol, protocols
from benchmark.records.rows import read
from registry.load import HERE, Registry

RESULTS = HERE / "results"


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.jsonl")), ids=lambda path: path.stem)
def test_a_published_track_keeps_its_protocol_and_its_rows_their_keys(path):
    registry = Registry()
    track = registry.track(path.stem)
    assert protocols(RESULTS)[track.name] == protocol(track)
    keys = set()
    for _, trial in registry.select([track.name], seeds=100):
        keys |= {trial.key} | ({trial.reference.key} if trial.reference else set())
    assert {outcome.key for outcome in read(path, "regbench export").outcomes} <= keys


def test_only_tracks_with_rows_are_locked():
    assert set(protocols(RESULTS)) == {path.stem for path in RESULTS.glob("*.jsonl")}, PROTOCOLS
