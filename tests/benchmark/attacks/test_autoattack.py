"""AutoAttack through the package: the same bits as a direct call, for any number of classes, and
its warnings.
"""

import logging
import sys

import pytest
import torch
from pyautoattack import AutoAttack
from pyautoattack.checks import check_n_classes, check_square_sr
from torch import Tensor, nn

from benchmark.attacks import attack
from benchmark.attacks.autoattack import assemble, autoattack, by_kind
from registry.spec import InputError, Threat

pytestmark = pytest.mark.slow

MEMBERS = {2: ["apgd-ce", "fab", "square"], 3: ["apgd-ce", "fab", "square"]}
STANDARD = ["apgd-ce", "apgd-t", "fab-t", "square"]


def network(classes: int, channels: int) -> nn.Module:
    with torch.random.fork_rng([]):
        torch.manual_seed(10 * classes + channels)
        return nn.Sequential(
            nn.Conv2d(channels, 3, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(27, classes)
        )


def examples(model: nn.Module, channels: int, classes: int, n: int) -> tuple[Tensor, Tensor]:
    x = torch.rand(n, channels, 8, 8, generator=torch.Generator().manual_seed(classes))
    with torch.no_grad():
        y = model(x).argmax(1)
    y[0] = (y[0] + 1) % classes
    return x, y


def direct(model: nn.Module, classes: int, norm: str, epsilon: float, seed: int) -> AutoAttack:
    """The package by its own documentation; only the targeted members need to know of fewer than 10
    classes.
    """
    common = {"norm": {"inf": "Linf", "2": "L2"}[norm], "eps": epsilon, "seed": seed}
    if classes in MEMBERS:
        return AutoAttack(model, version="custom", attacks=MEMBERS[classes], **common)
    attacker = AutoAttack(model, version="standard", **common)
    if classes < 10:
        attacker.apgd_targeted.n_target_classes = attacker.fab.n_target_classes = classes - 1
    return attacker


def cheaper(attacker: AutoAttack) -> AutoAttack:
    attacker.square.n_queries, attacker.fab.n_iter, attacker.apgd.n_restarts = 60, 15, 1
    return attacker


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("norm", ["inf", "2"])
@pytest.mark.parametrize("classes", [2, 3, 4, 10])
def test_a_shorter_run_equals_a_direct_call_of_the_package(classes, norm, channels, monkeypatch):
    module = sys.modules["benchmark.attacks.autoattack"]
    full = module.assemble
    monkeypatch.setattr(module, "assemble", lambda *arguments: cheaper(full(*arguments)))
    model = network(classes, channels)
    x, y = examples(model, channels, classes, 10)
    epsilon = {"inf": 0.04, "2": 0.35}[norm]
    found = attack(Threat(attack="autoattack", norm=norm, epsilon=epsilon), model, x, y, seed=5)
    adversarial, predicted = cheaper(
        direct(model, classes, norm, epsilon, 5)
    ).run_standard_evaluation(x, y)
    assert torch.equal(found.adversarial, adversarial)
    assert torch.equal(found.success, predicted != y)
    assert found.info["attacks"] == MEMBERS.get(classes, STANDARD)
    assert found.info["target_classes"] == (min(9, classes - 1) if classes >= 4 else 0)


@pytest.mark.parametrize("norm", ["inf", "2"])
@pytest.mark.parametrize("classes", [2, 3, 4, 10])
def test_the_budgets_are_the_packages_own(classes, norm):
    ours = assemble(network(classes, 1), classes, 0.1, norm, 0, torch.device("cpu"))
    theirs = direct(network(classes, 1), classes, norm, 0.1, 0)
    assert ours.attacks_to_run == theirs.attacks_to_run
    for member in ("apgd", "apgd_targeted", "fab", "square"):
        budget, expected = (
            {
                name: value
                for name, value in vars(getattr(attacker, member)).items()
                if isinstance(value, int | float | str)
            }
            for attacker in (ours, theirs)
        )
        if classes in MEMBERS:  # where no targeted attack runs
            expected["n_target_classes"] = budget.get("n_target_classes")
        assert {name: value for name, value in budget.items() if name != "device"} == {
            name: value
            for name, value in expected.items()
            if value is not None and name != "device"
        }


def test_the_full_run_equals_a_direct_call_of_the_package():
    model = network(4, 1)
    x, y = examples(model, 1, 4, 4)
    found = attack(Threat(attack="autoattack", epsilon=0.03), model, x, y, seed=0)
    adversarial, predicted = direct(model, 4, "inf", 0.03, 0).run_standard_evaluation(x, y)
    assert torch.equal(found.adversarial, adversarial)
    assert torch.equal(found.success, predicted != y)
    assert found.success.any()
    assert not found.success.all()


def test_the_model_the_random_state_and_the_tracer_are_left_as_they_were(monkeypatch):
    module = sys.modules["benchmark.attacks.autoattack"]
    full = module.assemble
    monkeypatch.setattr(module, "assemble", lambda *arguments: cheaper(full(*arguments)))
    model = network(3, 1).train()
    x, y = examples(model, 1, 3, 6)
    state, tracer = torch.get_rng_state(), sys.gettrace()
    module.autoattack(model, x, y, 0.02, seed=0)
    assert model.training
    assert all(
        parameter.grad is None and parameter.requires_grad for parameter in model.parameters()
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert sys.gettrace() is tracer


def test_logits_that_are_not_finite_count_as_misclassified(monkeypatch):
    module = sys.modules["benchmark.attacks.autoattack"]
    full = module.assemble
    monkeypatch.setattr(module, "assemble", lambda *arguments: cheaper(full(*arguments)))
    model = network(3, 1)
    x, y = examples(model, 1, 3, 6)

    def undefined_where_dark(images: Tensor) -> Tensor:
        return model(images) + 0 * (images[:, :1, 0, 0] - 0.3).sqrt()

    x[:, 0, 0, 0] = torch.tensor([0.1, 0.9, 0.2, 0.8, 0.9, 0.7])
    found = attack(Threat(attack="autoattack", epsilon=0.001), undefined_where_dark, x, y, seed=0)
    assert found.success[[0, 2]].all()
    assert (found.distance[[0, 2]] == 0).all()
    assert found.adversarial.isfinite().all()


def test_warnings_of_the_run_are_reported_by_kind_and_go_no_further(caplog):
    model = nn.Sequential(network(4, 1), nn.Softmax(1))
    x, y = examples(model, 1, 4, 4)
    with torch.no_grad():
        y = model(x).argmin(1)
    logger = logging.getLogger("auto-attack")
    handlers, level = list(logger.handlers), logger.level
    found = attack(Threat(attack="autoattack", epsilon=0.02), model, x, y, seed=0)
    assert list(found.info["warnings"]) == ["probabilities"]
    assert "probability distribution" in found.info["warnings"]["probabilities"][0]
    assert logger.handlers == handlers
    assert logger.level == level


def test_every_sentence_the_package_warns_with_has_a_kind(caplog):
    logger = logging.getLogger("auto-attack")
    check_n_classes(3, STANDARD, 9, 9, logger=logger)
    check_n_classes(5, STANDARD, 9, 9, logger=logger)
    check_square_sr({"clean": 0.9, "apgd-ce": 0.5, "square": 0.4}, logger=logger)
    kinds = by_kind([record.getMessage() for record in caplog.records])
    assert {kind: len(messages) for kind, messages in kinds.items()} == {
        "classes": 2,
        "square_helped": 1,
    }
    assert by_kind(["something new", "something new"]) == {"other": ["something new"]}


def test_a_dynamic_model_is_reported_and_taints_no_later_one():
    model = network(4, 1)
    x, y = examples(model, 1, 4, 3)
    with torch.no_grad():
        y = model(x).argmin(1)

    def differentiates(images: Tensor) -> Tensor:
        with torch.enable_grad():
            copy = images.detach().requires_grad_()
            torch.autograd.grad(copy.sum(), copy)
        return model(images)

    threat = Threat(attack="autoattack", epsilon=0.02)
    assert "dynamic" in attack(threat, differentiates, x, y, seed=0).info["warnings"]
    assert attack(threat, model, x, y, seed=0).info["warnings"] == {}


def test_l2_on_images_too_low_for_square_is_refused():
    with pytest.raises(InputError, match="needs at least 5"):
        attack(
            Threat(attack="autoattack", norm="2"),
            nn.Flatten(),
            torch.rand(2, 1, 4, 4),
            torch.tensor([0, 1]),
            seed=0,
        )


class Dark(nn.Module):
    """Linear where a pixel is bright, and flat where all are dark."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(10, 64, generator=generator))

    def forward(self, x):
        return (x.flatten(1) - 0.5).relu() @ self.weight.T + torch.linspace(0.02, 0, 10)


def test_flat_examples_are_counted_once_where_all_targets_are_tried_at_once():
    model, x = Dark(), 0.5 + torch.rand(30, 1, 8, 8) / 2
    x[:7] = torch.rand(7, 1, 8, 8) / 5
    y = model(x).argmax(1)
    settings = {"seed": 0, "only": ("apgd-t",)}
    told = [autoattack(model, x, y, 0.1, own=own, **settings)[2]["warnings"] for own in (0, 1)]
    assert told[0] == told[1]
    assert "there are 7 points with zero gradient" in told[0]["zero_gradients"][0]


class Infinite(nn.Module):
    """Right, by an infinite logit, about images that an attack within .1 comes to."""

    def forward(self, x):
        first = x.flatten(1)[:, :1]
        logits = torch.cat([10 * (first - 0.77), 0 * first + 0.01, 0 * first, 0 * first - 0.01], 1)
        return torch.where((first < 0.775) & (torch.arange(4) == 0), torch.inf, logits)


def test_an_infinite_logit_of_the_right_class_is_a_wrong_answer_to_our_own_members_too():
    x, y = torch.full((8, 1, 8, 8), 0.5), torch.zeros(8, dtype=torch.long)
    x[:, 0, 0, 0] = 0.8
    settings = {"seed": 0, "own": True, "only": ("fab-t",)}
    adversarial, fallen, _ = autoattack(Infinite(), x, y, 0.1, **settings)
    assert fallen.all()
    assert (Infinite()(adversarial)[:, 0] == torch.inf).all()


def test_a_checkpoint_of_other_images_is_not_taken_up(tmp_path):
    model = network(10, 1)
    x, y = examples(model, 1, 10, 20)
    settings = {"seed": 0, "only": ("apgd-ce",)}
    file = tmp_path / "progress.safetensors"
    autoattack(model, x, y, 0.02, checkpoint=file, **settings)
    other = x.flip(0)
    expected = autoattack(model, other, y.flip(0), 0.02, **settings)
    found = autoattack(model, other, y.flip(0), 0.02, checkpoint=file, **settings)
    assert torch.equal(found[0], expected[0]) and torch.equal(found[1], expected[1])
