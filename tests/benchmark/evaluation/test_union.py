"""The verified tier: no weaker than AutoAttack on all images, which gets few of them."""

import pytest
import torch
from torch import nn

from benchmark.attacks import attack, misclassified
from benchmark.attacks.autoattack import autoattack
from benchmark.evaluation import union as unions
from benchmark.evaluation.parts import robustness
from benchmark.evaluation.union import square_helped, union
from benchmark.measures.certificates import certified
from benchmark.records.metrics import of_score
from registry.load import Registry
from registry.spec import Threat

pytestmark = pytest.mark.slow

THREAT = Threat(attack="union", norm="inf", epsilon=0.03)
TRACK = Registry().track("quickstart")


@pytest.fixture(scope="module")
def classified():
    """A network of two classes, and images most of which it classifies as y."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 2))
        x = torch.rand(60, 1, 8, 8)
    with torch.no_grad():
        y = model(x).argmax(1)
    y[:5] = 1 - y[:5]
    return model.eval(), x, y


def test_what_falls_is_broken_within_the_ball_and_nothing_that_autoattack_breaks_stands(
    classified, monkeypatch
):
    model, x, y = classified
    given = []

    def watched(model, x, *others, **settings):
        given.append(len(x))
        return autoattack(model, x, *others, **settings)

    monkeypatch.setattr(unions, "autoattack", watched)
    found = union(THREAT, model, x, y, 0, None)
    direct = attack(Threat(attack="autoattack", norm="inf", epsilon=0.03), model, x, y, seed=0)
    with torch.no_grad():
        broken = misclassified(model(found.adversarial), y)
        right = ~misclassified(model(x), y)
    assert torch.equal(broken, found.success)
    assert direct.info["attacked"] == int(right.sum())
    assert ((found.adversarial - x).abs() <= 0.03 + 1e-6).all()
    assert not (direct.success & ~found.success).any()
    stands = ~found.success
    assert stands.any() and not stands.all()
    proven = certified(model, x, y, 0.03, "inf")
    assert proven.any() and not (proven & found.success).any()
    left = round(60 * found.info["robust"]["pgd-inf-0.03-restarts=10-loss=margin"])
    assert given == [left - int(proven.sum())] == [found.info["attacked"]]
    told = robustness(found.success, found.info).metrics
    assert len(told) > 5
    assert [metric for metric in told if of_score(metric) is None] == []


def test_the_search_without_gradients_is_flagged_by_what_it_breaks_of_all_images():
    stood = {"pgd-inf-0.1": 0.5, "apgd-ce": 0.4, "fab": 0.4, "square": 0.39}
    assert square_helped(stood) == pytest.approx(0.01)
    assert square_helped({"pgd-inf-0.1": 0.5}) == 0
    metrics = robustness(torch.tensor([True, False]), {"robust": stood, "warnings": {}}).metrics
    assert metrics["autoattack_square_helped"] == pytest.approx(0.01)


def test_vanishing_gradients_are_a_share_of_the_images_that_autoattack_got():
    warned = {"zero_gradients": ["there are 4 points with zero gradient!"]}
    success = torch.zeros(1000, dtype=torch.bool)
    shares = [
        robustness(success, {"warnings": warned} | info).metrics["autoattack_zero_gradients"]
        for info in ({"attacked": 8}, {"attacked": 900}, {})
    ]
    assert shares == [4 / 8, 4 / 512, 4 / 512]


def test_tiers_rise_and_autoattack_on_all_images_is_as_good_as_verified():
    parts = {tier: TRACK.tier_parts(tier, 360) for tier in ("standard", "verified", "autoattack")}
    assert [part.name for part in parts["standard"]] == [
        "apgd-inf-0.1",
        "pgd-inf-0.1-restarts=10-loss=margin",
    ]
    assert [part.name for part in parts["verified"]] == ["union-inf-0.1"]
    assert [part.name for part in parts["autoattack"]] == ["autoattack-inf-0.1"]
