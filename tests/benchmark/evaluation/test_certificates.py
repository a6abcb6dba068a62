"""Certificates as parts of an evaluation: on both sides of what attacks find."""

import pytest
import torch
from torch import nn

from benchmark import data
from benchmark.attacks import attack
from benchmark.evaluation.certificates import certificates
from benchmark.evaluation.evaluate import evaluate
from benchmark.measures.certificates import affordable, certified
from benchmark.training import networks
from benchmark.training.loop import train
from benchmark.training.phase import Phase
from registry.load import Registry
from registry.spec import Radius, Threat

REGISTRY = Registry()
TRACK = REGISTRY.track("quickstart")


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """LeNet-300-100 trained on digits for two epochs, and the data."""
    trial = next(trial for _, trial in REGISTRY.select(["quickstart"]))
    images = data.load(trial.dataset, tmp_path_factory.mktemp("home"))
    model = networks.create(trial.architecture, trial.dataset, seed=0)
    recipe = trial.recipe.model_copy(update={"reference_epochs": 2})
    phase = Phase.of(recipe, "reference", len(images.train))
    train(model, images.train, phase, seed=0, regularizer=None, strength=0.0)
    return model.eval(), images


@pytest.mark.parametrize("name", REGISTRY.track_names)
def test_a_track_asks_for_its_headlines_radius_and_four_smaller_ones(name):
    track = REGISTRY.track(name)
    parts, headline = track.certificates(10_000), track.headline_threat
    if headline.epsilon is None:
        assert not parts
        return
    radii = [part.radius for part in parts if part.radius is not None]
    assert [radius.norm for radius in radii] == [headline.norm] * 5
    assert [radius.epsilon for radius in radii] == sorted({radius.epsilon for radius in radii})
    assert radii[-1].epsilon == headline.epsilon
    assert not set(parts) & set(track.evaluation)  # so that no registered row lacks them


def test_an_image_is_certified_where_it_is_proven_at_this_radius_and_every_smaller_one(digits):
    model, images = digits
    x, y = images.test.pixels(slice(200)), images.test.labels[:200]
    radii = [Radius(norm="inf", epsilon=epsilon) for epsilon in (0.05, 0.01, 0.02)]
    steps = []
    found = certificates(radii, model, x, y, steps.append)
    alone = {radius: certified(model, x, y, radius.epsilon, "inf") for radius in radii}
    wide, narrow, middle = radii
    assert sum(steps) == len(radii) * len(x)
    assert torch.equal(found[1].columns["certified"], alone[narrow])
    assert torch.equal(found[2].columns["certified"], alone[narrow] & alone[middle])
    assert torch.equal(found[0].columns["certified"], alone[narrow] & alone[middle] & alone[wide])
    shares = [float(each.metrics["certified_accuracy"]) for each in found]
    assert 0 < shares[0] < shares[2] < shares[1] < 1


def test_no_attack_breaks_what_the_parts_of_a_track_certify(digits):
    model, images = digits
    parts = TRACK.certificates(360)
    found = {part.name: rows for part, rows in evaluate(model, images, parts, seed=0)}
    x, y = images.test.pixels(slice(200)), images.test.labels[:200]
    nearest = torch.tensor(
        next(column.values for column in found["fmn-inf"].examples if column.metric == "distance")
    )
    for part in parts:
        if part.radius is None:
            continue
        proven = torch.tensor(found[part.name].examples[0].values) > 0
        threat = Threat(
            attack="pgd", norm="inf", epsilon=part.radius.epsilon, loss="margin", restarts=5
        )
        broken = attack(threat, model, x, y, seed=0).success | (nearest <= part.radius.epsilon)
        assert not (proven & broken).any()
        assert proven.float().mean() == pytest.approx(found[part.name].scores[0].value)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        x = x.flatten(1)
        return self.head(x + self.layer(x))


def test_a_network_that_cannot_be_bounded_has_no_certificate_and_no_error():
    x, y = torch.rand(3, 1, 2, 2), torch.tensor([0, 1, 0])
    (found,) = certificates([Radius(norm="2", epsilon=0.1)], Residual().eval(), x, y)
    assert not found.columns
    assert found.metrics == {"no_certificate": 1.0}


def test_linear_bounds_are_for_networks_that_can_afford_them():
    small = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(2704, 2))
    large = nn.Sequential(
        nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU(),
        nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(), nn.Linear(43264, 2),
    )  # fmt: skip
    assert affordable(small, (1, 28, 28)) == "crown"
    assert affordable(large, (3, 32, 32)) == "intervals"
