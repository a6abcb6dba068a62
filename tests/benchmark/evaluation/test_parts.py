"""Every part that a track may ask for has something that finds it."""

from typing import get_args

from benchmark.evaluation.parts import FINDERS
from registry.load import Registry
from registry.spec import Measure


def test_there_is_a_finder_for_every_measure_and_for_every_part_of_every_track():
    registry = Registry()
    parts = [part for name in registry.track_names for part in registry.track(name).evaluation]
    asked = {part.name for part in parts if part.threat is None}
    assert asked | set(get_args(Measure)) == set(FINDERS)
