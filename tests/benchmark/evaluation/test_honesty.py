"""Honesty flags: raised on models whose attacks cannot be believed, and on no ordinary one."""

import math

import pytest
import torch
from torch import Tensor, nn

from benchmark import data
from benchmark.evaluation.evaluate import evaluate
from benchmark.evaluation.honesty import below_linearised_distance, check_model
from benchmark.records.flags import CHECKS, check_scores, check_warnings, flags_of
from benchmark.regularizer import load_regularizer
from benchmark.training.loop import Phase, train
from benchmark.training.networks import create
from registry.load import Registry
from registry.spec import Part, Threat

pytestmark = pytest.mark.slow


def flagged(values: dict[str, float]) -> set[str]:
    return {flag for check, value in values.items() for flag in flags_of(check, value)}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return data.load(Registry().dataset("digits"), tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def digits(images):
    return images.test.pixels(slice(128)), images.test.labels[:128]


@pytest.fixture(scope="module")
def trained(images):
    """Entry id → the model that the quickstart track's recipe trains, without the plain start that
    fine-tunes share.
    """

    def make(entry: str) -> nn.Module:
        trial = next(trial for _, trial in Registry().select([entry], 1))
        model = create(trial.architecture, trial.dataset, seed=0)
        method = None if trial.plugin is None else load_regularizer(trial.plugin, trial.params)
        phase = Phase.of(trial.recipe, "reference", len(images.train.labels))
        if method is not None:
            train(model, images.train, phase, seed=0, regularizer=None, strength=0.0)
            phase = Phase.of(trial.recipe, "fine_tune", len(images.train.labels))
        train(model, images.train, phase, seed=0, regularizer=method, strength=trial.entry.strength)
        return model.eval()

    known: dict[str, nn.Module] = {}

    def model(entry: str) -> nn.Module:
        if entry not in known:
            known[entry] = make(entry)
        return known[entry]

    return model


class Wrapped(nn.Module):
    """A trained model behind a function of its images and one of its logits."""

    def __init__(self, model: nn.Module, before=lambda x: x, after=lambda z: z) -> None:
        super().__init__()
        self.model, self.before, self.after = model, before, after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.model(self.before(x)))


class Constant(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros(len(x), 10) + torch.eye(10)[1] + 0 * x.flatten(1).sum(1, keepdim=True)


class Scaled(torch.autograd.Function):
    """Passes images on as they are, and a tenth of their gradient."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        pass

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return gradient / 10


PLAIN = "digits/lenet_300_100/none/0"


@pytest.mark.parametrize(
    "entry",
    [
        PLAIN,
        "digits/lenet_300_100/jacobian/0.1",
        "digits/lenet_300_100/curvature/0.4",
        "digits/lenet_300_100/weight_decay/0.01",
    ],
)
def test_an_ordinarily_trained_model_is_not_flagged(trained, digits, entry):
    values = check_model(trained(entry), *digits, seed=0)
    assert set(values) == {check for check in CHECKS if not check.startswith("autoattack")} - {
        "certified_and_broken",
        "rises_with_epsilon",
        "robust_above_clean",
        "transfer_stronger",
        "untrained",
        "trained_by_submission",
    }
    assert flagged(values) == set()


def test_convolutions_with_max_pooling_and_smooth_activations_are_not_flagged(images, digits):
    for architecture in ("lenet_5", "lenet_5:activation=swish"):
        model = create(Registry().architecture(architecture), Registry().dataset("digits"), seed=0)
        recipe = Registry().track("quickstart").recipe.model_copy(update={"reference_epochs": 4})
        phase = Phase.of(recipe, "reference", len(images.train.labels))
        train(model, images.train, phase, seed=0, regularizer=None, strength=0.0)
        assert flagged(check_model(model.eval(), *digits, seed=0)) == set()


def test_a_model_that_rounds_its_images_is_flagged_for_vanishing_gradients(trained, digits):
    masked = Wrapped(trained(PLAIN), before=lambda x: (x * 8).round() / 8)
    values = check_model(masked, *digits, seed=0)
    assert values["vanishing_gradients"] == 1
    assert flagged(values) >= {
        "vanishing_gradients",
        "loss_does_not_rise",
        "black_box_stronger",
        "accurate_at_huge_epsilon",
    }


def test_saturated_logits_are_flagged_for_vanishing_gradients(trained, digits):
    values = check_model(Wrapped(trained(PLAIN), after=lambda z: 1e4 * z), *digits, seed=0)
    assert "vanishing_gradients" in flagged(values)
    assert "black_box_stronger" in flagged(values)


def test_gradients_that_point_the_wrong_way_are_flagged(trained, digits):
    def turned(x: Tensor) -> Tensor:
        return 2 * x.detach() - x

    values = check_model(Wrapped(trained(PLAIN), before=turned), *digits, seed=0)
    assert flagged(values) >= {
        "loss_does_not_rise",
        "black_box_stronger",
        "accurate_at_huge_epsilon",
    }
    assert values["loss_does_not_rise"] > 0.9


def test_a_randomised_model_is_flagged(trained, digits):
    noise = torch.Generator().manual_seed(0)
    model = Wrapped(
        trained(PLAIN),
        before=lambda x: (x + 0.1 * torch.rand(x.shape, generator=noise)).clamp(0, 1),
    )
    assert "randomised" in flagged(check_model(model, *digits, seed=0))


def test_a_constant_model_is_flagged_and_is_at_chance(digits):
    values = check_model(Constant(), *digits, seed=0)
    assert "vanishing_gradients" in flagged(values)
    assert values["accurate_at_huge_epsilon"] < 0.1


def test_logits_that_are_not_finite_are_flagged_and_end_the_checks(trained, digits):
    values = check_model(Wrapped(trained(PLAIN), after=lambda z: z / 0), *digits, seed=0)
    assert set(values) == {"non_finite_logits", "randomised"}
    assert flagged(values) == {"non_finite_logits"}


def test_a_boundary_nearer_than_the_gradients_allow_is_seen_exactly_where_they_lie(digits):
    x, _ = digits
    torch.manual_seed(0)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with torch.no_grad():
        y = linear(x).argmax(1)
    assert not below_linearised_distance(linear, x, y).any()
    lying = Wrapped(linear, before=Scaled.apply)
    assert below_linearised_distance(lying, x, y).float().mean() > 0.5
    assert "below_linearised_distance" in flagged(check_model(lying, x, y, seed=0))


PGD = [
    Part(
        name=f"pgd-inf-{e}",
        split="test",
        examples=100,
        threat=Threat(attack="pgd", norm="inf", epsilon=e),
    )
    for e in (0.05, 0.1, 0.2)
]


def accuracy(*values: float, clean: float = 0.9) -> dict:
    return {("clean", "test", 100): clean} | {
        part.id: value for part, value in zip(PGD, values, strict=False)
    }


def test_robust_accuracy_that_rises_with_epsilon_is_flagged():
    assert flagged(check_scores(PGD, accuracy(0.8, 0.5, 0.3))) == set()
    values = check_scores(reversed(PGD), accuracy(0.5, 0.3, 0.4))
    assert values["rises_with_epsilon"] == pytest.approx(0.1)
    assert flagged(values) == {"rises_with_epsilon"}


def test_other_models_images_that_break_more_than_its_own_attack_are_flagged():
    (at_its_ball,) = (part for part in PGD if part.name == "pgd-inf-0.1")
    threat = Threat(attack="transfer", norm="inf", epsilon=0.1)
    part = Part(name=threat.id, split="test", examples=100, threat=threat)
    for transferred, flags in ((0.5, set()), (0.4, {"transfer_stronger"})):
        scores = accuracy(0.8, 0.5, 0.3) | {part.id: transferred}
        assert flagged(check_scores([*PGD, part], scores)) == flags
    elsewhere = part.model_copy(update={"examples": 50})  # of other images nothing is said
    scores = {at_its_ball.id: 0.5, elsewhere.id: 0.4}
    assert "transfer_stronger" not in check_scores([at_its_ball, elsewhere], scores)


def test_robust_accuracy_above_clean_accuracy_is_flagged_on_the_same_images_only():
    assert flagged(check_scores(PGD[:1], accuracy(0.95))) == {"robust_above_clean"}
    assert (
        check_scores(
            [PGD[0].model_copy(update={"examples": 50})],
            {("clean", "test", 100): 0.9, ("pgd-inf-0.05", "test", 50): 0.95},
        )
        == {}
    )


def test_autoattacks_warnings_become_checks_with_their_numbers():
    values = check_warnings(
        {
            "square_helped": ["Square Attack has decreased the robust accuracy of 12.50%. This"],
            "zero_gradients": [
                "there are 3 points with zero gradient!",
                "there are 25 points with zero",
            ],
            "randomized": ['it seems to be a randomized defense! Please use version="rand".'],
        },
        250,
    )
    assert values == {
        "autoattack_square_helped": 0.125,
        "autoattack_zero_gradients": 0.1,
        "autoattack_randomized": 1.0,
    }
    assert flagged(values) == {"autoattack_square_helped", "autoattack_randomized"}


def test_every_warning_of_autoattack_has_a_check():
    from benchmark.attacks.autoattack import WARNINGS

    assert {f"autoattack_{kind}" for kind in (*WARNINGS, "other")} == {
        check for check in CHECKS if check.startswith("autoattack")
    }


def test_every_check_tells_its_value_in_words():
    for check in CHECKS.values():
        assert "{" not in check.tell(0.25)
    assert (
        CHECKS["vanishing_gradients"].tell(0.875)
        == "input gradients vanish on 87.5 % of the examples"
    )


def test_an_evaluation_stores_each_check_as_a_score_with_its_flag(trained, images):
    part = Part(name="honesty", split="test", examples=128)
    masked = Wrapped(trained(PLAIN), before=lambda x: (x * 8).round() / 8)
    [(_, rows)] = list(evaluate(masked, images, [part], seed=0))
    stored = {score.metric: score for score in rows.scores}
    assert stored["vanishing_gradients"].flags == ("vanishing_gradients",)
    assert stored["non_finite_logits"].flags == ()
    assert all(math.isfinite(score.value) and score.n == 128 for score in rows.scores)
