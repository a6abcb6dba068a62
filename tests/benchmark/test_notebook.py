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
from benchmark.notebook import trying
from benchmark.regularizer import Regularizer, regularizer
from benchmark.trials.run import run_trial
from registry.load import Registry
from registry.spec import InputError

from ..files import write


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
        (lambda x: x, "quickstart", "model: must be an nn.Module, not a function"),
    ],
)
def test_what_cannot_be_scored_is_refused(home, model, track, expected):
    with pytest.raises(InputError, match=expected):
        benchmark.evaluate(model, track)


SWISH = "lenet_300_100:activation=swish"
OWN = f"""
name = "own"
title = "Two networks of one file, each with a recipe of its own"
dataset = "digits"
architectures = ["{SWISH}", "lenet_300_100"]
seeds = 1
threats = [{{ attack = "fgsm", norm = "inf", epsilon = 0.1 }}]
headline = "fgsm-inf-0.1"
clean_floor = 0.9
test_examples = 100
measure_examples = 4

[recipe]
batch_size = 64
learning_rate = 1e-6
reference_epochs = 1
fine_tune_epochs = 1

[recipe_for."{SWISH}"]
learning_rate = 0.05
reference_epochs = 5
train_size = 700

[[entry]]
regularizer = "none"
"""


@pytest.fixture
def own_track(home, tmp_path, monkeypatch):
    """A track whose first network has an option, and a recipe under which alone it learns."""
    write(tmp_path / "own", "tracks/own.toml", OWN)
    monkeypatch.setenv("REGBENCH_REGISTRY", str(tmp_path / "own"))
    return "own"


def test_a_network_with_an_option_is_tried_by_its_own_recipe(own_track):
    found = benchmark.try_regularizer(lambda step: step.losses, [], track=own_track)
    plain = benchmark.try_regularizer(
        lambda step: step.losses, [], track=own_track, architecture="lenet_300_100"
    )
    assert plain["clean"][0] < 0.5 < 0.8 < found["clean"][0]


def test_a_model_is_scored_on_the_training_images_of_its_networks_recipe(own_track, monkeypatch):
    sizes = []

    def loaded(dataset, home, *, train_size, device):
        sizes.append(train_size)
        raise InterruptedError

    monkeypatch.setattr("benchmark.data.load", loaded)
    for architecture in (None, SWISH, "lenet_300_100"):
        with pytest.raises(InterruptedError):
            benchmark.evaluate(nn.Flatten(), own_track, architecture=architecture)
    assert sizes == [700, 700, None]


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


def test_a_seeds_reference_is_trained_once_for_all_lambdas(own_track, monkeypatch):
    trained, train = [], trying.train

    def watched(model, split, phase, **settings):
        trained.append((phase.name, settings["seed"]))
        return train(model, split, phase, **settings)

    monkeypatch.setattr(trying, "train", watched)
    both = benchmark.try_regularizer(lambda step: step.losses, [0.1, 0.2], track=own_track, seeds=2)
    assert trained == [
        (name, seed) for seed in (0, 1) for name in ("reference", *["fine_tune"] * 3)
    ]
    alone = benchmark.try_regularizer(lambda step: step.losses, [0.2], track=own_track, seeds=2)
    assert both.iloc[[0, 2]].reset_index(drop=True).equals(alone)


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


@pytest.mark.parametrize(
    ("strengths", "expected"),
    [
        (0.1, "strengths must be a list of λ, not 0.1"),
        ([0.1, -0.1], "λ must be a finite number of at least 0, not -0.1"),
        ([float("nan")], "at least 0, not nan"),
        ([float("inf")], "at least 0, not inf"),
        (["1/2"], "at least 0, not '1/2'"),
    ],
)
def test_what_is_no_lambda_is_refused(home, strengths, expected):
    with pytest.raises(InputError, match=expected):
        benchmark.try_regularizer(lambda step: step.losses, strengths)


@pytest.mark.parametrize(
    ("penalty", "shape"),
    [
        (lambda step: step.input_gradient, r"\[64, 1, 8, 8\]"),
        (lambda step: step.losses.mean()[None], r"\[1\]"),
        (lambda step: 1.0, "float"),
    ],
)
def test_a_penalty_is_one_value_or_one_an_example(own_track, penalty, shape):
    with pytest.raises(InputError, match=rf"a tensor of shape \[64\] or \[\], not {shape}"):
        benchmark.try_regularizer(penalty, [0.1], track=own_track)


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        (-1, "seed must be at least 0, not -1"),
        (0.5, "seed must be a whole number, not 0.5"),
        (3, "seed must be at most 2, not 3: digits/lenet_300_100/none/0 has 3 seeds"),
    ],
)
def test_a_seed_that_a_track_does_not_have_is_refused(home, seed, expected):
    with pytest.raises(InputError, match=expected):
        benchmark.load_model("digits/lenet_300_100/none/0", seed=seed)


@pytest.mark.parametrize(
    ("n_examples", "expected"),
    [
        (-1, "must be at least 1, not -1"),
        (2.5, "must be a whole number, not 2.5"),
        (10**30, "must be at most 2147483647"),
    ],
)
def test_what_is_no_number_of_images_is_refused(home, n_examples, expected):
    with pytest.raises(InputError, match=f"n_examples {expected}"):
        benchmark.load_images("digits", n_examples)


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


def test_what_autoattack_warns_of_is_warned_of(home):
    class Drawn(nn.Module):
        """A network that adds noise to its logits, as a randomised defence does."""

        def forward(self, x):
            return x.flatten(1)[:, :10] + torch.randn(len(x), 10)

    with pytest.warns(UserWarning, match="benchmark: AutoAttack takes the model for randomised"):
        benchmark.benchmark(Drawn(), "digits", eps=0.1, n_examples=20)


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


class Lacking(nn.Module):
    """A network whose forward looks up what is not there."""

    def forward(self, x):
        return {}["net"](x)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"threat": "linf"}, "'linf' is not known; did you mean 'Linf'"),
        ({"dataset": "digit"}, "did you mean 'digits'"),
        ({"eps": 0}, "eps must be a positive number"),
        ({"eps": float("nan")}, "eps must be a positive number"),
        ({"eps": "8/255"}, "eps must be a positive number, not '8/255'"),
        ({"n_examples": 0}, "n_examples must be at least 1"),
        ({"n_examples": 2.5}, "n_examples must be a whole number, not 2.5"),
        ({"n_examples": 2**31}, "n_examples must be at most 2147483647"),
        ({"seed": 0.5}, "seed must be a whole number, not 0.5"),
        ({"seed": 2**64}, "seed must be at most 2147483647"),
        ({"normalise": ([0.1, 0.2], [1, 1])}, "digits has 1 channels; give a mean"),
        ({"normalise": ([0.1], [0])}, "a positive std for each"),
        ({"normalise": 0.5}, "give a mean and a positive std for each"),
        ({"normalise": (0.1, 0.5)}, "give a mean and a positive std for each"),
        ({"normalise": ([0.1],)}, "give a mean and a positive std for each"),
        ({"normalise": ([float("nan")], [1])}, "give a mean and a positive std for each"),
        ({"normalise": ([0.1], [float("inf")])}, "give a mean and a positive std for each"),
        ({"model": torch.relu}, "model: must be an nn.Module, not a builtin_function_or_method"),
        ({"model": Lacking()}, r"does not take images \[2, 1, 8, 8\] of digits \(KeyError: 'net'"),
    ],
)
def test_what_cannot_be_benchmarked_is_one_line(home, given, expected):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    asked = {"model": model, "dataset": "digits", "eps": 0.1} | given
    with pytest.raises(InputError, match=expected) as refused:
        benchmark.benchmark(**asked)
    assert len(str(refused.value).splitlines()) == 1
