"""Attacks on many models in one pass find what the attack on each model finds."""

import pytest
import torch
from torch import nn

from benchmark.attacks import attack, attack_curve, pgd
from benchmark.attacks import stacked as stacked_attacks
from benchmark.attacks.stacked import attack_stacked, fusable
from benchmark.data.splits import Data
from benchmark.evaluation import evaluate as evaluation
from registry.spec import Part, Threat

from ..training.test_stacked import images

SEEDS = [0, 5, 5, 9]


def net(seed, smooth=False):
    """With BatchNorm, whose running statistics are each model's own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        activation = nn.SiLU if smooth else nn.ReLU
        made = nn.Sequential(
            nn.Conv2d(1, 3, 3),
            nn.BatchNorm2d(3),
            activation(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(27, 8),
            activation(),
            nn.Linear(8, 3),
        ).double()
        made(torch.rand(32, 1, 8, 8, dtype=torch.float64))
    return made.eval()


NETS = [net(number) for number in range(len(SEEDS))]
X = images(40).pixels()
Y = (
    torch.stack([model(X).argmax(1) for model in NETS]).mode(0).values
)  # most models are right about most images


@pytest.mark.parametrize(
    "settings",
    [
        {"attack": "fgsm", "norm": "inf"},
        {"attack": "fgsm", "norm": "2"},
        {"attack": "pgd", "norm": "inf", "steps": 7},
        {"attack": "pgd", "norm": "2", "steps": 5, "step_size": 0.05, "loss": "margin"},
    ],
)
def test_every_model_falls_as_it_does_alone(settings, monkeypatch):
    radii = (0.01, 0.03, 0.1) if settings["norm"] == "inf" else (0.1, 0.4)
    threats = [Threat(**settings, epsilon=epsilon) for epsilon in radii]
    found = attack_stacked(threats, NETS, X, Y, seeds=SEEDS, batch_size=16)
    alone = [attack_curve(threats, model, X, Y, seed=seed) for model, seed in zip(NETS, SEEDS)]
    for number, fallen in enumerate(found):
        assert_equal(fallen, [curve[number] for curve in alone])
    assert 0 < found[0].success.double().mean() < found[-1].success.double().mean() < 1
    monkeypatch.setattr(stacked_attacks, "STARTS", 3 * X.numel())  # three models at once, then one
    in_turns = attack_stacked(threats, NETS, X, Y, seeds=SEEDS, batch_size=512)
    for fallen, again in zip(found, in_turns):
        assert torch.equal(fallen.success, again.success)
    singles = [attack(threats[-1], NETS[which], X, Y, seed=SEEDS[which]) for which in (0, 1)]
    (last,) = attack_stacked(threats[-1:], NETS[:2], X, Y, seeds=SEEDS[:2], batch_size=512)
    assert_equal(last, singles)


@pytest.mark.parametrize(
    "threat",
    [
        Threat(attack="carlini_wagner", norm="2", steps=30),
        Threat(attack="fmn", norm="inf", steps=30),
        Threat(attack="fmn", norm="2", steps=30),
    ],
    ids=lambda threat: threat.id,
)
def test_every_model_is_as_near_its_boundary_as_it_is_alone(threat):
    (found,) = attack_stacked([threat], NETS, X, Y, seeds=SEEDS, batch_size=16)
    # FMN turns back at the boundary again and again, which makes more of a rounding each time.
    rtol = 1e-7 if threat.attack == "carlini_wagner" else 5e-3
    assert_equal(found, [attack(threat, model, X, Y, seed=0) for model in NETS], rtol)
    already = torch.stack([model(X).argmax(1) != Y for model in NETS])
    assert 0 < already.double().mean() < found.success.double().mean()
    assert torch.equal(found.distance == 0, already)


def assert_equal(found, alone, rtol=1e-7):
    assert torch.equal(found.success, torch.stack([each.success for each in alone]))
    distance = torch.stack([each.distance for each in alone])
    torch.testing.assert_close(found.distance, distance, rtol=rtol, atol=1e-9)


@pytest.mark.parametrize("loss", ["ce", "margin"])
def test_carrying_fallen_examples_along_changes_no_result(loss):
    start = torch.rand(X.shape, generator=torch.Generator().manual_seed(1), dtype=X.dtype) * 2 - 1
    given = {"steps": 6, "start": start, "loss": loss}
    torch.testing.assert_close(
        pgd(NETS[0], X, Y, 0.05, mapped=True, **given),
        pgd(NETS[0], X, Y, 0.05, **given),
        rtol=0,
        atol=1e-12,
    )


def test_only_attacks_whose_images_go_their_own_ways_are_fused():
    assert fusable(Threat(attack="fgsm", norm="2", epsilon=0.1))
    assert fusable(Threat(attack="pgd", norm="2", epsilon=0.1))
    assert not fusable(Threat(attack="pgd", norm="2", epsilon=0.1, restarts=2))
    assert fusable(Threat(attack="carlini_wagner", norm="2"))
    assert fusable(Threat(attack="fmn", norm="inf"))
    assert not fusable(Threat(attack="deepfool", norm="2"))


def test_the_rows_of_models_evaluated_together_are_those_of_each(tmp_path):
    split = images(40)
    data = Data(train=split, validation=split, test=split, sha256="")
    curve = [Threat(attack="pgd", norm="inf", epsilon=epsilon, steps=4) for epsilon in (0.02, 0.05)]
    threats = [
        *curve,
        Threat(attack="fgsm", norm="inf", epsilon=0.05),
        Threat(attack="carlini_wagner", norm="2", steps=20),
        Threat(attack="deepfool", norm="2"),
    ]
    parts = [
        Part(name="clean", split="test", examples=30),
        *(Part(name=threat.id, split="test", examples=30, threat=threat) for threat in threats),
    ]
    together = dict(evaluation.evaluate_together(NETS, data, parts, seeds=SEEDS))
    assert [part.name for part in together] == [threat.id for threat in threats[:4]]
    for number, (model, seed) in enumerate(zip(NETS, SEEDS)):
        for part, alone in evaluation.evaluate(model, data, list(together), seed=seed):
            assert_same(together[part][number].scores, alone.scores, "value")
            assert_same(together[part][number].examples, alone.examples, "values")


def assert_same(rows, others, field):
    """All fields are equal; distances, which are rounded to float32 after sums of another order,
    nearly.
    """
    assert [row.model_copy(update={field: None}) for row in rows] == [
        row.model_copy(update={field: None}) for row in others
    ]
    for row, other in zip(rows, others):
        assert getattr(row, field) == pytest.approx(getattr(other, field), rel=1e-6)
