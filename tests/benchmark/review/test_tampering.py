"""What a method may import of the benchmark."""

import pytest

from benchmark.review.tampering import forbidden_imports
from registry.load import Registry

FOLDERS = Registry().regularizer_folders


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_every_registered_and_submitted_method_imports_only_what_it_may(name):
    assert forbidden_imports((FOLDERS[name] / "regularizer.py").read_text()) == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import torch, math, dataclasses\nfrom benchmark.regularizer import Step", []),
        ("from registry.spec import Norm\nfrom benchmark.attacks.pgd import pgd", []),
        ("from benchmark import projection", []),
        ("import benchmark.sandbox.child", ["benchmark.sandbox.child"]),
        ("from benchmark import evaluation", ["benchmark.evaluation"]),
        ("from benchmark.training.loop import train", ["benchmark.training.loop"]),
        ("from registry.load import Registry", ["registry.load"]),
        ("import leaderboard_app", ["leaderboard_app"]),
        ("def penalty(step):\n    import benchmark.trials.run as run", ["benchmark.trials.run"]),
        ("import benchmark.regularizers_of_mine", ["benchmark.regularizers_of_mine"]),
    ],
)
def test_what_is_on_no_list_is_found_wherever_it_is_imported(code, found):
    assert forbidden_imports(code) == found
