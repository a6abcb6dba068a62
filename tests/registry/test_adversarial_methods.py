"""Methods that search for an image: adversarial training, its mixtures, and the penalties at what
it finds.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from benchmark.regularizer import Noise, Step

from .brute_force import (
    B,
    assert_penalty,
    data_of,
    each,
    everywhere,
    loss_gradient,
    method,
    net_of,
    noise,
    seeded,
    spectral_norm,
)


def linear_net() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).double()


@pytest.mark.parametrize("norm", ["inf", "2"])
def test_adversarial_training_uses_the_worst_image_of_a_linear_models_ball(norm):
    net, (x, y) = linear_net(), data_of(2)
    w = net[1].weight.detach()
    away = (w[1 - y] - w[y]).view_as(x)
    direction = (
        away.sign() if norm == "inf" else away / away.flatten(1).norm(dim=1)[:, None, None, None]
    )
    step = Step(net, x, y, strength=0.05, noise=Noise(seeded()))
    found = method("adversarial_training", norm=norm, steps=40, step_size=0.05).training_input(step)
    assert_close(found, x + 0.05 * direction, rtol=0, atol=1e-5)


def test_adversarial_training_of_one_step_without_random_start_is_fgsm():
    net, (x, y) = net_of("conv", 3), data_of(3)
    sign = torch.cat([loss_gradient(net, *one).detach().sign() for one in each(x, y)])
    found = method("adversarial_training", steps=1, random_start=False).training_input(
        Step(net, x, y, strength=0.3)
    )
    assert_close(found, (x + 0.3 * sign).clamp(0, 1))


def test_adversarial_training_adds_no_penalty_and_clips_layers_only_when_given_a_bound():
    net, data = net_of("mlp", 3), data_of(3)
    assert method("adversarial_training").penalty(Step(net, *data)).tolist() == [0.0] * B
    before = net[1].weight.clone()
    method("adversarial_training").after_epoch(net, 0.1)
    assert net[1].weight.equal(before)
    method("adversarial_training", bound=0.1).after_epoch(net, 0.1)
    assert spectral_norm(net[1].weight) <= 0.1 + 1e-9


def test_convex_mix_ends_in_adversarial_training_and_in_the_operator_norm():
    net, (x, y) = linear_net(), data_of(2)
    w = net[1].weight
    away = (w[1 - y] - w[y]).view_as(x)
    worst = (x + 0.05 * away / away.flatten(1).norm(dim=1)[:, None, None, None]).detach()

    def added():
        return F.cross_entropy(net(worst), y, reduction="none") - F.cross_entropy(
            net(x), y, reduction="none"
        )

    for mix in (0.0, 0.3, 1.0):
        regularizer = method(
            "convex_mix", mix=mix, operator_weight=0.2, epsilon=0.05, steps=40, step_size=0.05
        )
        worst_and_norm = (1 - mix) * added() + mix * 0.2 * (spectral_norm(w) ** 2).expand(B)
        assert_penalty(regularizer, net, (x, y), worst_and_norm)


def projected(x, clean, epsilon, norm):
    delta = x - clean
    if norm == "inf":
        return torch.clamp(clean + delta.clamp(-epsilon, epsilon), 0, 1)
    return torch.clamp(clean + delta * min(1.0, epsilon / float(delta.detach().norm())), 0, 1)


def ascended(objective, start, clean, *, epsilon, norm, steps, step_size):
    """Projected gradient ascent of one image by plain autograd."""
    x = projected(start, clean, epsilon, norm)
    for _ in range(steps):
        x = x.detach().requires_grad_()
        (g,) = torch.autograd.grad(objective(x), x)
        x = projected(
            x + step_size * (g.sign() if norm == "inf" else g / g.norm()), clean, epsilon, norm
        )
    return x.detach()


SEARCH = {"epsilon": 0.1, "steps": 4, "step_size": 0.03}


@pytest.mark.parametrize("norm", ["inf", "2"])
@pytest.mark.parametrize(("kind", "K"), [("mlp", 2), ("conv", 10)])
def test_trades_is_the_divergence_at_the_image_that_ascent_finds(kind, K, norm):
    net, (x, y) = net_of(kind, K, nn.Softplus), data_of(K)

    def divergence(here, there):
        p, q = net(here).softmax(1), net(there).softmax(1)
        return (p * (p.log() - q.log())).sum()

    starts = x + 0.001 * noise(seeded(), *x.shape, normal=True)
    expected = torch.stack(
        [
            divergence(
                image,
                ascended(
                    lambda there, image=image: divergence(image, there),
                    start,
                    image,
                    norm=norm,
                    **SEARCH,
                ),
            )
            for image, start in zip(x.split(1), starts.split(1))
        ]
    )
    assert_penalty(method("trades", norm=norm, **SEARCH), net, (x, y), expected)


@pytest.mark.parametrize("norm", ["inf", "2"])
@pytest.mark.parametrize(("kind", "K"), [("mlp", 2), ("conv", 10)])
def test_llr_is_the_largest_deviation_from_linear_plus_the_linear_part(kind, K, norm):
    net, (x, y) = net_of(kind, K, nn.Softplus), data_of(K)

    def parts(there, image, label):
        linear = ((there - image) * loss_gradient(net, image, label)).sum()
        return F.cross_entropy(net(there), label) - F.cross_entropy(
            net(image), label
        ) - linear, linear

    starts = x + 0.1 * (2 * noise(seeded(), *x.shape) - 1)
    values = []
    for (image, label), start in zip(each(x, y), starts.split(1)):
        found = ascended(
            lambda there, image=image, label=label: parts(there, image, label)[0].abs(),
            start,
            image,
            norm=norm,
            **SEARCH,
        )
        excess, linear = parts(found, image, label)
        values.append(excess.abs() + 0.3 * linear.abs())
    assert_penalty(method("llr", norm=norm, **SEARCH), net, (x, y), torch.stack(values))


def fgsm_by_hand(net, x, y, epsilon):
    sign = torch.cat([loss_gradient(net, *one).detach().sign() for one in each(x, y)])
    return (x + epsilon * sign).clamp(0, 1)


@everywhere
def test_grad_align_trains_on_fgsm_images_and_penalises_the_angle_around_the_clean_ones(kind, K):
    net, (x, y) = net_of(kind, K, nn.Softplus), data_of(K)
    regularizer = method("grad_align", epsilon=0.2)
    eta = 0.2 * (2 * noise(seeded(), *x.shape) - 1)
    cosines = [
        F.cosine_similarity(
            loss_gradient(net, image, label).flatten(),
            loss_gradient(net, image + e, label).flatten(),
            dim=0,
            eps=0,
        )
        for (image, label), e in zip(each(x, y), eta.split(1))
    ]
    assert_penalty(regularizer, net, (x, y), 1 - torch.stack(cosines))
    step = Step(net, x, y, noise=Noise(seeded()))
    adversarial = regularizer.training_input(step)
    assert_close(adversarial, fgsm_by_hand(net, x, y, 0.2))
    assert_close(regularizer.penalty(step.at(adversarial)), 1 - torch.stack(cosines))


def test_grad_align_is_zero_where_a_gradient_vanishes():
    net, data = net_of("mlp", 3), data_of(3)
    with torch.no_grad():
        net[-1].weight.zero_()
    penalty = method("grad_align").penalty(Step(net, *data, noise=Noise(seeded())))
    assert penalty.tolist() == [0.0] * B
    for gradient in torch.autograd.grad(
        penalty.sum(), list(net.parameters()), allow_unused=True, materialize_grads=True
    ):
        assert bool(gradient.isfinite().all())


@everywhere
def test_elle_is_the_squared_distance_of_the_loss_from_its_interpolation(kind, K):
    net, (x, y) = net_of(kind, K, nn.Softplus), data_of(K)
    regularizer, generator = method("elle", epsilon=0.2), seeded()
    a, b = (x + 0.2 * (2 * noise(generator, *x.shape) - 1) for _ in range(2))
    share = noise(generator, B, 1, 1, 1)
    middle = (1 - share) * a + share * b
    at = {"a": a, "b": b, "c": middle}
    L = {name: F.cross_entropy(net(images), y, reduction="none") for name, images in at.items()}
    alpha = share.flatten()
    expected = (L["c"] - (1 - alpha) * L["a"] - alpha * L["b"]) ** 2
    assert_penalty(regularizer, net, (x, y), expected, rtol=1e-6)
    step = Step(net, x, y, noise=Noise(seeded()))
    adversarial = regularizer.training_input(step)
    assert_close(adversarial, fgsm_by_hand(net, x, y, 0.2))
    assert_close(regularizer.penalty(step.at(adversarial)), expected)


def uniform_start(x, epsilon):
    """One point of the ℓ∞ ball around each image, as the seeded step draws it."""
    return x + epsilon * (2 * noise(seeded(), *x.shape) - 1)


def log_p(net, image):
    return net(image).log_softmax(1)[0]


def divergence(net, here, there):
    """KL(p(here) ‖ p(there)) of one image, differentiable in both."""
    return (log_p(net, here).exp() * (log_p(net, here) - log_p(net, there))).sum()


@everywhere
def test_mart_and_its_base_loss_are_the_boosted_cross_entropy_and_the_weighted_divergence(kind, K):
    net, (x, y) = net_of(kind, K, nn.Softplus), data_of(K)
    step = Step(net, x, y, noise=Noise(seeded()), strength=3.0)
    regularizer = method("mart", **SEARCH)
    adversarial = regularizer.training_input(step)
    starts, values = uniform_start(x, 0.1), []
    for (image, label), start, given in zip(
        each(x, y), starts.split(1), adversarial.split(1), strict=True
    ):
        found = ascended(
            lambda there, label=label: F.cross_entropy(net(there), label),
            start,
            image,
            norm="inf",
            **SEARCH,
        )
        assert_close(given, found)
        p, q = log_p(net, image).exp(), log_p(net, found).exp()
        others = [k for k in range(K) if k != int(label)]
        rival = max(others, key=q.tolist().__getitem__)
        boosted = -q[label].log() - (1 - q[rival]).log()
        values.append(boosted + 3.0 * divergence(net, image, found) * (1 - p[label]))
    at = step.at(adversarial)
    objective = at.losses + 3.0 * regularizer.penalty(at)
    expected = torch.cat(values)
    assert_close(objective, expected)
    weights = list(net.parameters())
    ours = torch.autograd.grad(objective.sum(), weights)
    theirs = torch.autograd.grad(expected.sum(), weights)
    for one, other in zip(ours, theirs, strict=True):
        assert_close(one, other, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("norm", ["inf", "2"])
@pytest.mark.parametrize(("kind", "K"), [("mlp", 2), ("conv", 10)])
def test_arow_adds_label_smoothing_and_the_divergence_weighted_by_doubt(kind, K, norm):
    net, (x, y) = net_of(kind, K, nn.Softplus), data_of(K)
    if norm == "inf":
        starts = uniform_start(x, 0.1)
    else:
        normal = noise(seeded(), B, 18, normal=True)
        starts = x + 0.1 * (normal / normal.norm(dim=1, keepdim=True))[:, :16].view_as(x)
    values = []
    for (image, label), start in zip(each(x, y), starts.split(1), strict=True):
        found = ascended(
            lambda there, image=image: divergence(net, image, there),
            start,
            image,
            norm=norm,
            **SEARCH,
        )
        doubt = 1 - log_p(net, found)[label[0]].exp()
        smoothed = F.cross_entropy(net(image), label, label_smoothing=0.3)
        added = smoothed - F.cross_entropy(net(image), label)
        values.append(divergence(net, image, found) * doubt + added / 2.0)
    found = method("arow", norm=norm, smoothing=0.3, **SEARCH)
    assert_penalty(found, net, (x, y), torch.stack(values), strength=2.0)


@everywhere
def test_nuat_is_the_nuclear_norm_of_the_logits_change_under_one_step(kind, K):
    net, (x, y) = net_of(kind, K, nn.Softplus), data_of(K)
    start = (x + 0.05 * (noise(seeded(), *x.shape) - 0.5).sign()).clamp(0, 1).requires_grad_()
    loss = F.cross_entropy(net(start), y)
    nuclear = torch.linalg.svdvals(net(start) - net(x).detach()).sum() / B
    (rise,) = torch.autograd.grad(loss + 5.0 * nuclear, start)
    moved = start.detach() + 0.1 * rise.sign() - x
    adversarial = (x + moved.clamp(-0.1, 0.1)).clamp(0, 1)
    expected = torch.linalg.svdvals(net(adversarial) - net(x)).sum() / B
    assert_penalty(method("nuat", epsilon=0.1), net, (x, y), expected, strength=5.0)


@everywhere
def test_n_fgsm_steps_from_noise_twice_the_step_and_does_not_return_to_the_ball(kind, K):
    net, (x, y) = net_of(kind, K, nn.Softplus), data_of(K)
    noisy = (x + 0.2 * (2 * noise(seeded(), *x.shape) - 1)).clamp(0, 1)
    regularizer = method("n_fgsm")
    step = Step(net, x, y, noise=Noise(seeded()), strength=0.1)
    found = regularizer.training_input(step)
    assert_close(found, fgsm_by_hand(net, noisy, y, 0.1))
    assert float((found - x).abs().max()) > 0.1
    assert regularizer.penalty(step.at(found)).tolist() == [0.0] * B
