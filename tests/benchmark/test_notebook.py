"""In Python without files: any model is scored as the leaderboard's are, and a function is tried as
a method.
"""

import subprocess
import sys

import pytest
import torch
from torch import nn

import benchmark
from benchmark.regularizer import Regularizer, regularizer
from benchmark.trials.run import run_trial
from registry.load import Registry
from registry.spec import InputError


def test_importing_the_package_loads_no_torch():
    code = "import sys, benchmark; assert benchmark.__all__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_trials_checkpoint_scores_as_the_trial_did(home):
    _, trial = Registry().select(["digits/lenet_300_100/none/0"], seeds=1)[0]
    assert trial.reference is not None
    run_trial(trial.reference, home)
    outcome = run_trial(trial, home)
    table = benchmark.evaluate(home / trial.key / "weights.safetensors", "quickstart")
    found = {(row.threat, row.split, row.metric): row.value for row in table.itertuples()}
    for score in outcome.scores:
        assert found[score.threat, score.split, score.metric] == pytest.approx(
            score.value, abs=1e-6, nan_ok=True
        )


def test_any_model_can_be_scored_and_is_left_in_its_mode(home):
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 10))
    table = benchmark.evaluate(model, "quickstart")
    assert {"clean", "pgd-inf-0.1", "honesty", "measures"} <= set(table["threat"])
    assert model.training and model[1].training


@pytest.mark.parametrize(
    ("model", "track", "expected"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), "quickstart", r"gives \[2, 3\]"),
        (nn.Flatten(), "quikstart", "did you mean 'quickstart'"),
        ("nowhere.safetensors", "quickstart", "nowhere.safetensors: cannot be read"),
    ],
)
def test_what_cannot_be_scored_is_refused(home, model, track, expected):
    with pytest.raises(InputError, match=expected):
        benchmark.evaluate(model, track)


@pytest.mark.slow
def test_a_function_a_class_and_an_instance_are_tried_alike(home):
    def gradient(step):
        return step.input_gradient.flatten(1).square().sum(1)

    @regularizer
    def decorated(step):
        return gradient(step)

    assert issubclass(decorated, Regularizer) and decorated.__name__ == "decorated"
    tables = [
        benchmark.try_regularizer(method, [0.1]) for method in (gradient, decorated, decorated())
    ]
    assert tables[0]["lambda"].tolist() == [0.0, 0.1]
    assert tables[0].equals(tables[1]) and tables[0].equals(tables[2])
    control, method = tables[0].to_dict("records")
    assert method["pgd-inf-0.1"] > control["pgd-inf-0.1"]


def test_a_decorated_function_is_a_plugin_too(tmp_path):
    from benchmark.regularizer import Step, load_regularizer

    (tmp_path / "regularizer.py").write_text(
        "from benchmark.regularizer import regularizer\n\n"
        "@regularizer\ndef mine(step):\n    return step.losses ** 2\n"
    )
    plugin = load_regularizer(tmp_path, {})
    model, x, y = nn.Flatten(), torch.rand(3, 1, 2, 2), torch.tensor([0, 1, 2])
    assert torch.equal(plugin.penalty(Step(model, x, y)), Step(model, x, y).losses ** 2)


def test_what_is_no_method_is_refused(home):
    with pytest.raises(InputError, match="no Regularizer"):
        benchmark.try_regularizer(3)
    with pytest.raises(InputError, match="none of lenet_300_100"):
        benchmark.try_regularizer(lambda step: step.losses, architecture="lenet_5")
