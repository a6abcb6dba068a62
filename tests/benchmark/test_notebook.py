"""In Python without files: any model is scored as the leaderboard's are, and a function is tried as
a method.
"""

import subprocess
import sys

import pytest
import timm
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
    with pytest.raises(InputError, match="seeds must be at least 1, not 0"):
        benchmark.try_regularizer(lambda step: step.losses, seeds=0)


def test_seeds_and_numbers_of_images_below_the_first_are_refused(home):
    with pytest.raises(InputError, match="seed must be at least 0, not -1"):
        benchmark.load_model("digits/lenet_300_100/none/0", seed=-1)
    with pytest.raises(InputError, match="n_examples must be at least 1, not -1"):
        benchmark.load_images("digits", -1)


EPSILON = 0.15


@pytest.fixture
def linear(home):
    """A linear model of two classes, and for its test images whether it is right, and whether it is
    so everywhere within the ball and the box: there each pixel moves by itself.
    """
    x, y = benchmark.load_images("digits:1,8", 40)
    w = x[y == 1].mean(0) - x[y == 0].mean(0)
    b = -float((x * w).flatten(1).sum(1).mean())
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    with torch.no_grad():
        model[1].weight.copy_(torch.stack([-w.flatten(), w.flatten()]))
        model[1].bias.copy_(torch.tensor([-b, b]))
    toward = torch.where(y == 1, -1.0, 1.0)[:, None, None, None] * w.sign()
    worst = (x + EPSILON * toward).clamp(0, 1)

    def right(images):
        return ((images * w).flatten(1).sum(1) + b > 0) == (y == 1)

    return model, right(x), right(worst)


def test_clean_and_robust_accuracy_of_a_linear_model_are_the_exact_ones(linear):
    model, right, stands = linear
    found = benchmark.benchmark(model, "digits:1,8", "Linf", eps=EPSILON, n_examples=40)
    assert 0.1 < stands.float().mean() < right.float().mean()
    expected = (right.double().mean(), (right & stands).double().mean())
    assert found == pytest.approx(tuple(map(float, expected)))


def test_a_model_of_normalised_images_scores_as_the_same_model_of_plain_ones(linear):
    model, right, stands = linear
    mean, std = 0.3, 0.5
    other = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    with torch.no_grad():  # w·x + b = (std w)·((x − mean) / std) + b + mean Σw
        other[1].weight.copy_(std * model[1].weight)
        other[1].bias.copy_(model[1].bias + mean * model[1].weight.sum(1))
    found = benchmark.benchmark(
        other, "digits:1,8", eps=EPSILON, n_examples=40, normalise=([mean], [std])
    )
    assert found == pytest.approx((float(right.double().mean()), float(stands.double().mean())))


def test_a_network_of_timm_can_be_scored_and_is_left_in_its_mode(home):
    model = timm.create_model("test_resnet", num_classes=10, in_chans=1)
    clean, robust = benchmark.benchmark(
        model, "digits", eps=0.3, n_examples=3, normalise=([0.3], [0.4])
    )
    assert 0 <= robust <= clean <= 1
    assert model.training


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"num_classes": 3}, r"gives \[2, 3\] for 2 images of digits, not \[2, 10\] logits, one"),
        ({"in_chans": 3}, r"does not take images \[2, 1, 8, 8\] of digits \("),
    ],
)
def test_a_network_that_does_not_fit_the_data_is_one_line(home, changes, expected):
    model = timm.create_model("test_resnet", **{"num_classes": 10, "in_chans": 1} | changes)
    for score in (
        lambda: benchmark.evaluate(model, "quickstart"),
        lambda: benchmark.benchmark(model, "digits", eps=0.1),
    ):
        with pytest.raises(InputError, match=expected) as refused:
            score()
        assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"threat": "linf"}, "'linf' is not known; did you mean 'Linf'"),
        ({"dataset": "digit"}, "did you mean 'digits'"),
        ({"eps": 0}, "eps must be a positive number"),
        ({"eps": float("nan")}, "eps must be a positive number"),
        ({"n_examples": 0}, "n_examples must be at least 1"),
        ({"normalise": ([0.1, 0.2], [1, 1])}, "digits has 1 channels; give a mean"),
        ({"normalise": ([0.1], [0])}, "a positive std for each"),
    ],
)
def test_what_cannot_be_benchmarked_is_one_line(home, given, expected):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    asked = {"dataset": "digits", "eps": 0.1} | given
    with pytest.raises(InputError, match=expected) as refused:
        benchmark.benchmark(model, asked.pop("dataset"), **asked)
    assert len(str(refused.value).splitlines()) == 1
