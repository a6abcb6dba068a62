"""Each penalty's value and parameter gradient against a brute-force float64 computation that shares no code with it."""
from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn
from torch.autograd.functional import hessian
from torch.nn import functional as F
from torch.testing import assert_close

from benchmark.projection import clip_singular_values
from benchmark.regularizer import Regularizer, Step, load_regularizer
from registry.load import Registry
from registry.spec import InputError

B = 3
NETS = ["mlp", "conv"]


def net_of(kind: str, K: int, activation: type[nn.Module] = nn.ReLU, side: int = 4) -> nn.Module:
    torch.manual_seed(K)
    if kind == "mlp":
        layers = [nn.Flatten(), nn.Linear(side**2, 7), activation(), nn.Linear(7, 6), activation(), nn.Linear(6, K)]
    else:
        layers = [nn.Conv2d(1, 3, 3, padding=1), activation(), nn.Conv2d(3, 2, 3), activation(), nn.Flatten(),
                  nn.Linear(2 * (side - 2) ** 2, K)]
    return nn.Sequential(*layers).double()


def data_of(K: int, side: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(K)
    x = 0.1 + 0.8 * torch.rand((B, 1, side, side), generator=generator, dtype=torch.float64)
    return x, torch.arange(B) % K


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def noise(generator: torch.Generator, *shape: int, normal: bool = False) -> torch.Tensor:
    return (torch.randn if normal else torch.rand)(shape, generator=generator, dtype=torch.float64)


def method(name: str, **params) -> Regularizer:
    return load_regularizer(Registry().regularizer(name).folder, params)


def assert_penalty(regularizer: Regularizer, net: nn.Module, data, expected, *, rtol=1e-7, atol=1e-12, **step_options):
    """`expected` is a differentiable [B] or scalar made by other means: values and parameter gradients must agree."""
    step = Step(net, *data, generator=seeded(), **step_options)
    penalty = regularizer.penalty(step)
    assert_close(penalty, expected, rtol=rtol, atol=atol)
    weights = list(net.parameters())
    ours = torch.autograd.grad(penalty.sum(), weights, allow_unused=True, materialize_grads=True)
    theirs = torch.autograd.grad(expected.sum(), weights, allow_unused=True, materialize_grads=True)
    assert sum(g.abs().sum() for g in theirs) > 0
    for one, other in zip(ours, theirs):
        assert_close(one, other, rtol=max(100 * rtol, 1e-6), atol=max(atol, 1e-10 * float(other.abs().max())))


def jacobians(net, x) -> torch.Tensor:
    """[B, K, n] by plain autograd, one example and one logit at a time, differentiable."""
    rows = []
    for image in x:
        image = image[None].clone().requires_grad_()
        logits = net(image)[0]
        rows.append(torch.stack([torch.autograd.grad(z, image, create_graph=True)[0].flatten() for z in logits]))
    return torch.stack(rows)


def loss_gradient(net, image, label) -> torch.Tensor:
    """∇_x of one image's cross-entropy, differentiable. image [1, C, H, W], label [1]."""
    image = image.detach().clone().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(net(image), label), image, create_graph=True)[0]


def each(x, y):
    """The examples one by one, as batches of one."""
    return [(x[i:i + 1], y[i:i + 1]) for i in range(len(x))]


def spectral_norm(M: torch.Tensor) -> torch.Tensor:
    return torch.linalg.svdvals(M).amax(-1)


everywhere = pytest.mark.parametrize(("kind", "K"), [(kind, K) for kind in NETS for K in (2, 3, 10)])


def test_weight_decay_is_the_sum_of_squared_weights_without_biases():
    net = net_of("conv", 3)
    expected = torch.stack([(w * w).sum() for n, w in net.named_parameters() if "weight" in n]).sum()
    assert_penalty(method("weight_decay"), net, data_of(3), expected)


@everywhere
@pytest.mark.parametrize("norm", [1, 2])
def test_input_gradient_is_the_norm_of_each_examples_own_gradient(kind, K, norm):
    net, data = net_of(kind, K, nn.Softplus), data_of(K)
    gradients = torch.stack([loss_gradient(net, x, y).flatten() for x, y in each(*data)])
    expected = gradients.abs().sum(1) if norm == 1 else (gradients**2).sum(1)
    assert_penalty(method("input_gradient", norm=norm), net, data, expected)


@everywhere
def test_jacobian_is_the_sum_of_all_squared_partial_derivatives(kind, K):
    net, data = net_of(kind, K, nn.Softplus), data_of(K)
    assert_penalty(method("jacobian"), net, data, (jacobians(net, data[0]) ** 2).sum((1, 2)))


@everywhere
def test_cross_lipschitz_is_the_mean_over_ordered_pairs(kind, K):
    net, data = net_of(kind, K, nn.Softplus), data_of(K)
    V = jacobians(net, data[0])
    pairs = [((V[:, a] - V[:, b]) ** 2).sum(1) for a in range(K) for b in range(K)]
    assert_penalty(method("cross_lipschitz"), net, data, torch.stack(pairs).sum(0) / K**2)


def test_cross_lipschitz_of_two_classes_is_half_the_squared_distance_of_their_gradients():
    net, data = net_of("mlp", 2), data_of(2)
    V = jacobians(net, data[0])
    assert_penalty(method("cross_lipschitz"), net, data, ((V[:, 0] - V[:, 1]) ** 2).sum(1) / 2)


@everywhere
def test_curvature_is_the_spectral_norm_of_the_losses_full_hessian_on_relu_nets(kind, K):
    net, data = net_of(kind, K, nn.ReLU), data_of(K)
    H = [hessian(lambda image, y=y: F.cross_entropy(net(image), y), x, create_graph=True).reshape(16, 16)
         for x, y in each(*data)]
    assert_penalty(method("curvature"), net, data, torch.stack([torch.linalg.eigvalsh(h)[-1] for h in H]))


def test_curvature_of_a_smooth_net_is_its_gauss_newton_part():
    net, data = net_of("conv", 4, nn.SiLU), data_of(4)
    V = jacobians(net, data[0])
    p = net(data[0]).softmax(1)
    H = torch.stack([v.T @ (torch.diag(q) - torch.outer(q, q)) @ v for v, q in zip(V, p)])
    assert_penalty(method("curvature"), net, data, spectral_norm(H))


def test_curvature_has_a_finite_gradient_where_probabilities_underflow():
    net = net_of("mlp", 3).float()
    with torch.no_grad():
        net[-1].weight.mul_(1e4)
    x, y = data_of(3)
    step = Step(net, x.float(), y)
    assert bool((step.logits.softmax(1) == 0).any())
    for gradient in torch.autograd.grad(method("curvature").penalty(step).sum(), list(net.parameters())):
        assert bool(gradient.isfinite().all())


def test_the_input_gradient_of_a_saturated_float32_model_does_not_vanish():
    net = net_of("mlp", 3).float()
    with torch.no_grad():
        net[-1].bias.copy_(torch.tensor([30.0, 0.0, 0.0]))
    x, y = data_of(3)[0].float(), torch.zeros(B, dtype=torch.long)
    exact = Step(net.double(), x.double(), y).input_gradient
    assert_close(Step(net.float(), x, y).input_gradient.double(), exact, rtol=1e-3, atol=0)


@everywhere
@pytest.mark.parametrize(("progress", "h"), [(1.0, 1.5), (0.125, 0.75), (0.0, 0.0)])
def test_cure_is_the_squared_change_of_the_gradient_over_a_step_that_ramps(kind, K, progress, h):
    net, data = net_of(kind, K, nn.Softplus), data_of(K)
    values = []
    for x, y in each(*data):
        g = loss_gradient(net, x, y)
        z = g.detach().sign() / g.detach().sign().norm()
        values.append(((loss_gradient(net, x + h * z, y) - g) ** 2).sum())
    expected = torch.stack(values)
    regularizer = method("curvature_finite_difference")
    if h:
        assert_penalty(regularizer, net, data, expected, progress=progress)
    else:
        assert bool((regularizer.penalty(Step(net, *data, progress=progress)) == 0).all())


def margin_hessians(net, x, label, K) -> torch.Tensor:
    """[K − 1, n, n] of one image's margins f_y − f_j, differentiable."""
    def margin(image, j):
        return net(image)[0, label] - net(image)[0, j]
    n = x.numel()
    return torch.stack([hessian(lambda image, j=j: margin(image, j), x, create_graph=True).reshape(n, n)
                        for j in range(K) if j != label])


def margin_slopes(net, x, labels, K) -> torch.Tensor:
    """[B, K − 1, n]."""
    V = jacobians(net, x)
    return torch.stack([torch.stack([v[y] - v[j] for j in range(K) if j != y]) for v, y in zip(V, labels.tolist())])


@pytest.mark.parametrize(("kind", "K"), [("mlp", 2), ("mlp", 4), ("conv", 3)])
def test_cross_hoelder_adds_each_margins_slope_and_hessian_norm(kind, K):
    net, (x, y) = net_of(kind, K, nn.SiLU), data_of(K)
    slopes = torch.linalg.vector_norm(margin_slopes(net, x, y, K), dim=2).sum(1)
    curvatures = torch.stack([spectral_norm(margin_hessians(net, image, int(label), K)).sum() for image, label in each(x, y)])
    regularizer = method("cross_hoelder", hessian_weight=0.7, iterations=150)
    assert_penalty(regularizer, net, (x, y), slopes + 0.7 * curvatures, rtol=1e-6, atol=1e-9)


def test_cross_hoelder_without_curvature_is_the_sum_of_slopes():
    net, (x, y) = net_of("conv", 3, nn.SiLU), data_of(3)
    expected = margin_slopes(net, x, y, 3).abs().sum((1, 2))
    assert_penalty(method("cross_hoelder", hessian_weight=0.0, q="1"), net, (x, y), expected)


def corners(n: int) -> torch.Tensor:
    """[2^n, n]: where a convex function attains its maximum over the ℓ∞ ball."""
    return torch.tensor(list(itertools.product((-1.0, 1.0), repeat=n)), dtype=torch.float64)


def test_cross_hoelder_of_linf_perturbations_finds_the_best_corner_and_never_more():
    net, (x, y) = net_of("mlp", 2, nn.SiLU, side=3), data_of(2, side=3)
    slopes = margin_slopes(net, x, y, 2).abs().sum((1, 2))
    H = torch.stack([margin_hessians(net, image, int(label), 2)[0] for image, label in each(x, y)])
    best = (corners(9) @ H).abs().sum(2).amax(1)
    generator, regularizer = seeded(), method("cross_hoelder", hessian_weight=1.0, p="inf", q="1")
    found = torch.stack([regularizer.penalty(Step(net, x, y, generator=generator)) - slopes for _ in range(10)])
    assert bool((found <= best * (1 + 1e-9)).all())
    assert_close(found.amax(0), best)  # a start may end in a lower corner


def test_the_papers_ascent_underestimates_small_curvatures_and_power_iteration_does_not():
    net, (x, y) = net_of("mlp", 2, nn.SiLU), data_of(2)
    with torch.no_grad():
        net[-1].weight.mul_(0.1)
    true = torch.stack([spectral_norm(margin_hessians(net, image, int(label), 2)[0]) for image, label in each(x, y)])

    def estimate(update):
        step = [Step(net, x, y, generator=seeded()) for _ in range(2)]
        both = method("cross_hoelder", hessian_weight=1.0, update=update).penalty(step[0])
        return both - method("cross_hoelder", hessian_weight=0.0).penalty(step[1])

    assert bool((estimate("ascent") < 0.7 * true).all())
    assert bool((estimate("power") > 0.98 * true).all())


@everywhere
@pytest.mark.parametrize("iterations", [None, 200])
def test_the_data_dependent_spectral_norm_is_the_jacobians_largest_singular_value_squared(kind, K, iterations):
    net, data = net_of(kind, K, nn.Softplus), data_of(K)
    params = {} if iterations is None else {"iterations": iterations}
    expected = spectral_norm(jacobians(net, data[0])) ** 2
    assert_penalty(method("data_dependent_operator_norm", **params), net, data, expected, rtol=1e-6, atol=1e-9)


def test_the_linf_operator_norm_finds_the_best_corner_and_never_more():
    net, (x, y) = net_of("mlp", 3, nn.Softplus, side=3), data_of(3, side=3)
    V = jacobians(net, x)
    best = (corners(9) @ V.transpose(1, 2)).square().sum(2).amax(1)
    generator, regularizer = seeded(), method("data_dependent_operator_norm", norm="inf", iterations=10)
    found = torch.stack([regularizer.penalty(Step(net, x, y, generator=generator)) for _ in range(10)])
    assert bool((found <= best * (1 + 1e-9)).all())
    assert_close(found.amax(0), best)  # a start may end in a lower corner


def test_the_linf_operator_norm_without_iterations_is_refused_with_the_fix():
    with pytest.raises(InputError, match="add iterations=10"):
        method("data_dependent_operator_norm", norm="inf")


@pytest.mark.parametrize("kind", NETS)
def test_global_spectral_norm_reaches_the_sum_of_squared_norms_from_its_warm_start(kind):
    net, data, state = net_of(kind, 3), data_of(3), {}
    regularizer, generator = method("global_spectral_norm"), seeded()
    values = torch.stack([regularizer.penalty(Step(net, *data, state=state, generator=generator)) for _ in range(300)])
    expected = torch.stack([spectral_norm(w.flatten(1)) ** 2 for w in net.parameters() if w.ndim > 1]).sum()
    assert values[0] < 0.99 * expected and bool((values.diff() > -1e-12).all())  # each step improves on the last
    assert_penalty(regularizer, net, data, expected, state=state)


def test_clipping_a_linear_layer_gives_the_nearest_matrix_with_the_bound():
    W = noise(seeded(), 5, 8, normal=True)
    U, S, Vh = torch.linalg.svd(W, full_matrices=False)
    assert_close(clip_singular_values(W, 1.5), sum(min(s.item(), 1.5) * torch.outer(u, v) for u, s, v in zip(U.T, S, Vh)))


def circulant(kernel: torch.Tensor, n: int) -> torch.Tensor:
    """The matrix of a circular convolution on n×n maps, column by column: [out·n·n, in·n·n]."""
    into, h, w = kernel.shape[1:]
    columns = []
    for one in torch.eye(into * n * n, dtype=kernel.dtype):
        image = F.pad(one.view(1, into, n, n), (0, w - 1, 0, h - 1), mode="circular")
        columns.append(F.conv2d(image, kernel).flatten())
    return torch.stack(columns, 1)


@pytest.mark.parametrize("bound", [0.5, 2.0])
def test_a_clipped_convolution_stays_within_the_bound_on_maps_of_every_power_of_two(bound):
    kernel = noise(seeded(), 3, 2, 3, 3, normal=True)
    assert spectral_norm(circulant(kernel, 8)) > bound
    clipped = clip_singular_values(kernel, bound)
    for n in (4, 8):
        assert spectral_norm(circulant(clipped, n)) <= bound * (1 + 1e-9)
    assert spectral_norm(circulant(clipped, 8)) > 0.7 * bound  # clipped, not flattened


def test_a_layer_within_the_bound_is_not_touched():
    kernel = noise(seeded(), 3, 2, 3, 3, normal=True)
    bound = float(spectral_norm(circulant(kernel, 32 // 4))) * 1.2
    assert clip_singular_values(kernel, bound) is kernel
    assert clip_singular_values(kernel[:, :, 0, 0], 100.0).equal(kernel[:, :, 0, 0])


def test_each_group_of_a_grouped_convolution_is_clipped_as_a_convolution_of_its_own():
    kernel = noise(seeded(), 4, 2, 3, 3, normal=True)
    halves = [clip_singular_values(half, 1.0) for half in kernel.split(2)]
    together = clip_singular_values(kernel, 1.0, groups=2)
    for half, mine in zip(halves, together.split(2)):  # the last scaling is common to the groups
        ratio = mine / half
        assert_close(ratio, ratio.flatten()[0].expand_as(ratio))


def test_spectral_normalization_clips_every_layer_to_the_inverse_of_lambda():
    net = net_of("conv", 3)
    method("spectral_normalization").after_epoch(net, 4.0)
    assert spectral_norm(net[-1].weight) <= 0.25 + 1e-9
    for layer in (net[0], net[2]):
        assert spectral_norm(circulant(layer.weight.detach(), 4)) <= 0.25 + 1e-9


def linear_net() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).double()


@pytest.mark.parametrize("norm", ["inf", "2"])
def test_adversarial_training_uses_the_worst_image_of_a_linear_models_ball(norm):
    net, (x, y) = linear_net(), data_of(2)
    w = net[1].weight.detach()
    away = (w[1 - y] - w[y]).view_as(x)
    direction = away.sign() if norm == "inf" else away / away.flatten(1).norm(dim=1)[:, None, None, None]
    step = Step(net, x, y, strength=0.05, generator=seeded())
    found = method("adversarial_training", norm=norm, steps=40, step_size=0.05).training_input(step)
    assert_close(found, x + 0.05 * direction, rtol=0, atol=1e-5)


def test_adversarial_training_of_one_step_without_random_start_is_fgsm():
    net, (x, y) = net_of("conv", 3), data_of(3)
    sign = torch.cat([loss_gradient(net, *one).detach().sign() for one in each(x, y)])
    found = method("adversarial_training", steps=1, random_start=False).training_input(Step(net, x, y, strength=0.3))
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
        return F.cross_entropy(net(worst), y, reduction="none") - F.cross_entropy(net(x), y, reduction="none")

    for mix in (0.0, 0.3, 1.0):
        regularizer = method("convex_mix", mix=mix, operator_weight=0.2, epsilon=0.05, steps=40, step_size=0.05)
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
        g, = torch.autograd.grad(objective(x), x)
        x = projected(x + step_size * (g.sign() if norm == "inf" else g / g.norm()), clean, epsilon, norm)
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
    expected = torch.stack([
        divergence(image, ascended(lambda there, image=image: divergence(image, there), start, image, norm=norm, **SEARCH))
        for image, start in zip(x.split(1), starts.split(1))])
    assert_penalty(method("trades", norm=norm, **SEARCH), net, (x, y), expected)


@pytest.mark.parametrize("norm", ["inf", "2"])
@pytest.mark.parametrize(("kind", "K"), [("mlp", 2), ("conv", 10)])
def test_llr_is_the_largest_deviation_from_linear_plus_the_linear_part(kind, K, norm):
    net, (x, y) = net_of(kind, K, nn.Softplus), data_of(K)

    def parts(there, image, label):
        linear = ((there - image) * loss_gradient(net, image, label)).sum()
        return F.cross_entropy(net(there), label) - F.cross_entropy(net(image), label) - linear, linear

    starts = x + 0.1 * (2 * noise(seeded(), *x.shape) - 1)
    values = []
    for (image, label), start in zip(each(x, y), starts.split(1)):
        found = ascended(lambda there, image=image, label=label: parts(there, image, label)[0].abs(), start, image,
                         norm=norm, **SEARCH)
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
    cosines = [F.cosine_similarity(loss_gradient(net, image, label).flatten(), loss_gradient(net, image + e, label).flatten(),
                                   dim=0, eps=0) for (image, label), e in zip(each(x, y), eta.split(1))]
    assert_penalty(regularizer, net, (x, y), 1 - torch.stack(cosines))
    step = Step(net, x, y, generator=seeded())
    adversarial = regularizer.training_input(step)
    assert_close(adversarial, fgsm_by_hand(net, x, y, 0.2))
    assert_close(regularizer.penalty(step.at(adversarial)), 1 - torch.stack(cosines))


def test_grad_align_is_zero_where_a_gradient_vanishes():
    net, data = net_of("mlp", 3), data_of(3)
    with torch.no_grad():
        net[-1].weight.zero_()
    penalty = method("grad_align").penalty(Step(net, *data, generator=seeded()))
    assert penalty.tolist() == [0.0] * B
    for gradient in torch.autograd.grad(penalty.sum(), list(net.parameters()), allow_unused=True, materialize_grads=True):
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
    step = Step(net, x, y, generator=seeded())
    adversarial = regularizer.training_input(step)
    assert_close(adversarial, fgsm_by_hand(net, x, y, 0.2))
    assert_close(regularizer.penalty(step.at(adversarial)), expected)


DRAWS = 20_000


@pytest.mark.parametrize("name", ["jacobian", "cross_lipschitz"])
@pytest.mark.parametrize("K", [2, 3, 10])
@pytest.mark.parametrize("projections", [1, 3])
def test_the_projected_estimates_are_unbiased_with_the_variance_of_their_formula(name, K, projections, record_property):
    """For u uniform on the unit sphere of d dimensions, Var(uᵀAu) = 2(d·tr A² − (tr A)²) / (d²(d + 2))."""
    net, (x, _) = net_of("mlp", K, nn.Softplus), data_of(K)
    one = x[:1]
    J = jacobians(net, one)[0].detach()
    G = J @ J.T
    d, scale = K, 1.0
    if name == "cross_lipschitz":
        centre = torch.eye(K, dtype=torch.float64) - 1 / K
        G, d, scale = centre @ G @ centre, K - 1, 2 / K
    mean = scale * float(G.trace())
    variance = scale**2 * 2 * (d * float((G @ G).trace()) - float(G.trace()) ** 2) / (d + 2) / projections
    step = Step(net, one.expand(DRAWS, -1, -1, -1), torch.zeros(DRAWS, dtype=torch.long), generator=seeded())
    drawn = method(name, projections=projections).penalty(step).detach()
    record_property("relative standard deviation", float(drawn.std() / drawn.mean()))
    assert abs(float(drawn.mean()) - mean) <= 4 * (variance / DRAWS) ** 0.5 + 1e-12
    assert float(drawn.var()) == pytest.approx(variance, rel=0.1, abs=1e-12)


@pytest.mark.parametrize("kind", NETS)
def test_a_projected_estimate_has_the_gradient_of_its_own_directions(kind):
    net, (x, y) = net_of(kind, 4, nn.Softplus), data_of(4)
    u = noise(seeded(), 2, B, 4, normal=True)
    centred = u - u.mean(2, keepdim=True)
    for name, factor, direction in (("jacobian", 4.0, u), ("cross_lipschitz", 1.5, centred)):
        direction = direction / direction.norm(dim=2, keepdim=True)
        products = torch.einsum("mbk,bkn->mbn", direction, jacobians(net, x))
        assert_penalty(method(name, projections=2), net, (x, y), factor * products.square().sum(2).mean(0))
