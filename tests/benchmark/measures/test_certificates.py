"""Certificates against exact minima, closed forms, other forms of the same network, and attacks."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from benchmark.attacks import pgd, unit_ball
from benchmark.measures.certificates import certified, margin_lower_bounds
from benchmark.measures.exact import smallest_margin
from benchmark.measures.layer_chain import Activation, MaxPool, NoCertificateError, read_chain
from benchmark.measures.relaxations import relaxed

pytestmark = pytest.mark.slow


def seeded(build):
    """What `build` makes under a random state of its own."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return build()


def perceptron(inputs: int, widths: tuple[int, ...], classes: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten()]
    for width in widths:
        layers += [nn.Linear(inputs, width), nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, classes))


def settled(net: nn.Sequential, shape: tuple[int, int, int]) -> nn.Sequential:
    """The net in evaluation mode, its BatchNorms with statistics and weights of their own."""
    for module in net:
        if isinstance(module, nn.BatchNorm2d) and module.affine:
            module.weight.data.uniform_(-1, 2)
            module.bias.data.normal_()
    for _ in range(5):
        net(torch.rand(64, *shape))
    return net.eval()


def pooled() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(3, 4, 2), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip


def normalised() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.SiLU(), nn.AvgPool2d(2),
        nn.Conv2d(4, 5, 2), nn.BatchNorm2d(5, affine=False), nn.ReLU(),
        nn.Flatten(), nn.Linear(5, 8), nn.SiLU(), nn.Linear(8, 4),
    )  # fmt: skip


NETS = {
    "perceptron": (lambda: perceptron(16, (24, 16), 4), (1, 4, 4)),
    "pooled": (pooled, (1, 7, 7)),
    "normalised": (normalised, (2, 8, 8)),
}


def margins(logits: Tensor, y: Tensor) -> Tensor:
    """z_y − z_j [N, K], inf at y."""
    return (logits.gather(1, y[:, None]) - logits).scatter(1, y[:, None], torch.inf)


@pytest.mark.parametrize("widths", [(), (12,), (8, 8), (6, 6, 6)])
def test_no_certificate_exceeds_the_exact_minimum_and_crowns_is_the_nearer(widths):
    model = seeded(lambda: perceptron(9, widths, 3))
    x = seeded(lambda: torch.rand(2, 1, 3, 3))
    y = model(x).argmax(1)
    for epsilon in (0.02, 0.1, 0.3):
        exact = torch.tensor(
            [smallest_margin(model, *pair, epsilon).at_least for pair in zip(x, y.tolist())]
        )
        crown, intervals = (
            margin_lower_bounds(model, x, y, epsilon, "inf", method=method).amin(1)
            for method in ("crown", "intervals")
        )
        assert (crown <= exact + 1e-6).all()
        assert (intervals <= crown).all()
        if not widths:
            assert_close(crown.float(), exact, rtol=0, atol=1e-4)
        else:
            assert (exact - crown < 0.5 * (exact - intervals)).all()


def test_exact_answers_are_reached_and_their_parts_agree():
    model = seeded(lambda: perceptron(9, (8, 8), 3))
    x = seeded(lambda: torch.rand(1, 1, 3, 3))
    y = model(x).argmax(1)
    for epsilon in (0.05, 0.3, 0.9):
        found = smallest_margin(model, x[0], int(y), epsilon)
        start = seeded(lambda: unit_ball((200, 1, 3, 3), "inf", rand=torch.rand, randn=torch.randn))
        many, labels = x.expand(200, -1, -1, -1), y.expand(200)
        worst = pgd(model, many, labels, epsilon, steps=40, start=start, loss="margin", keep="last")
        attacked = margins(model(worst), labels).amin()
        assert found.at_most == pytest.approx(found.at_least, abs=1e-5)
        assert found.at_least - 1e-5 <= attacked <= found.at_most + 0.02


@pytest.mark.parametrize("norm", ["inf", "2"])
def test_a_linear_models_certificate_is_its_minimum_over_ball_and_box(norm):
    model = seeded(lambda: perceptron(16, (), 3)).requires_grad_(False)
    x = seeded(
        lambda: (3 * torch.rand(20, 1, 4, 4) - 1).clamp(0, 1)
    )  # a third black, a third white
    y = model(x).argmax(1)
    W, point = model[1].weight.double().numpy(), x.flatten(1).double().numpy()
    for epsilon in (0.02, 0.2, 1.0):
        found = margin_lower_bounds(model, x, y, epsilon, norm)
        now = margins(model(x).double(), y)
        for n, j in itertools.product(range(20), range(3)):
            if j != y[n]:
                c = W[y[n]] - W[j]
                change = least_change(c, -point[n], 1 - point[n], epsilon, norm)
                loss = (now[n, j] + change - found[n, j]).item()
                assert -1e-7 <= loss <= 1e-4 + 0.02 * abs(change)


def least_change(c: np.ndarray, down: np.ndarray, up: np.ndarray, epsilon: float, norm: str):
    """min c·δ over the box and the ball, its multiplier by bisection."""
    if norm == "inf":
        return np.minimum(c * np.maximum(down, -epsilon), c * np.minimum(up, epsilon)).sum()
    low, high = 1e-9, 1e9
    for _ in range(200):
        middle = np.sqrt(low * high)
        delta = np.clip(-c / middle, down, up)
        low, high = (middle, high) if np.linalg.norm(delta) > epsilon else (low, middle)
    return c @ delta


@pytest.mark.parametrize("name", NETS)
def test_nothing_in_the_ball_falls_below_its_certificate(name):
    build, shape = NETS[name]
    model = seeded(lambda: settled(build(), shape))
    x = seeded(lambda: (1.4 * torch.rand(2000, *shape) - 0.2).clamp(0, 1))
    y = model(x).argmax(1)
    share = []
    for number, (norm, epsilon) in enumerate(
        [("inf", 0.001), ("inf", 0.01), ("2", 0.05), ("inf", 0.05), ("2", 0.3)]
    ):
        bound = margin_lower_bounds(model, x, y, epsilon, norm)
        assert torch.equal(certified(model, x, y, epsilon, norm), (bound > 0).all(1))
        share.append((bound > 0).all(1).double().mean())
        with torch.random.fork_rng([]), torch.no_grad():
            torch.manual_seed(number)
            starts = [
                unit_ball(x.shape, norm, rand=torch.rand, randn=torch.randn) for _ in range(3)
            ]
            if norm == "inf":
                starts += [start.sign() for start in starts]
            for start in starts:
                assert (margins(model((x + epsilon * start).clamp(0, 1)), y) >= bound).all()
        worst = pgd(model, x, y, epsilon, norm, steps=8, start=starts[0], loss="margin")
        assert (margins(model(worst), y) >= bound).all()
    assert share[0] > 0.9  # the bounds say something


def unrolled(net: nn.Sequential, shape: tuple[int, int, int]) -> nn.Sequential:
    """Each layer but the activations as a matrix, found by passing unit images through it."""
    layers: list[nn.Module] = [nn.Flatten()]
    x = torch.zeros(1, *shape, dtype=torch.float64)
    for module in net:
        out = module(x)
        if isinstance(module, nn.SiLU | nn.ReLU):
            layers.append(module)
        elif not isinstance(module, nn.Flatten):
            dense = nn.Linear(x.numel(), out.numel(), dtype=torch.float64)
            units = torch.eye(x.numel(), dtype=torch.float64).unflatten(1, x.shape[1:])
            nought = module(torch.zeros_like(x)).flatten()
            dense.weight.data, dense.bias.data = (module(units).flatten(1) - nought).T, nought
            layers.append(dense)
        x = out
    return nn.Sequential(*layers)


@pytest.mark.parametrize("norm", ["inf", "2"])
def test_a_convolutional_net_is_bounded_as_its_matrices_are(norm):
    build, shape = NETS["normalised"]
    net = seeded(lambda: settled(build(), shape)).double().requires_grad_(False)
    x = seeded(lambda: torch.rand(5, *shape, dtype=torch.float64))
    y = net(x).argmax(1)
    for epsilon in (0.01, 0.1):
        by_layers, by_matrices = (
            margin_lower_bounds(model, x, y, epsilon, norm) for model in (net, unrolled(net, shape))
        )
        assert_close(by_layers, by_matrices, rtol=1e-3, atol=1e-3)


def test_an_image_that_float32_misclassifies_by_rounding_is_not_certified():
    # Two classes whose weights agree but for less than float32 keeps of their sums.
    weight = seeded(lambda: 1e4 * torch.randn(1, 256)).expand(2, -1).clone()
    weight[1, :128], weight[1, 128:] = weight[0, :128] * (1 + 2**-20), weight[0, 128:]
    model = nn.Sequential(nn.Flatten(), nn.Linear(256, 2, bias=False))
    model[1].weight.data = weight
    x = seeded(lambda: torch.rand(2000, 1, 16, 16))
    y = model.double()(x.double()).argmax(1)
    wrong = model.float()(x).argmax(1) != y
    assert wrong.any()
    assert not certified(model, x, y, 0.0, "inf")[wrong].any()


def test_relaxations_enclose_silu_relu_and_max_pooling():
    ends = seeded(lambda: 12 * torch.rand(4000, 2, 6, 7, dtype=torch.float64) - 6).sort(1).values
    lower, upper = ends[:, :1], ends[:, 1:]
    for layer, function in [
        (Activation("relu"), nn.ReLU()),
        (Activation("silu"), nn.SiLU()),
        (MaxPool((2, 3)), nn.MaxPool2d((2, 3))),
    ]:
        bound = relaxed(layer, lower, upper)
        total = (lambda v: v) if isinstance(layer, Activation) else sum_over_squares
        for share in seeded(lambda: torch.rand(30, *lower.shape, dtype=torch.float64)):
            x = lower + share.round() * (upper - lower) if share[0, 0, 0, 0] > 0.5 else (
                lower + share * (upper - lower)
            )  # fmt: skip
            assert (
                total(bound.lower_slope * x) + bound.lower_constant <= function(x) + 1e-12
            ).all()
            assert (
                total(bound.upper_slope * x) + bound.upper_constant >= function(x) - 1e-12
            ).all()


def sum_over_squares(x: Tensor) -> Tensor:
    return x[..., :6, :6].unflatten(3, (2, 3)).unflatten(2, (3, 2)).sum((3, 5))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        return self.head(x + self.layers(x))


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 2)), "GELU"),
        (nn.Sequential(nn.MaxPool2d(2, stride=1), nn.Flatten(), nn.Linear(1, 2)), "MaxPool2d"),
        (Residual(), "flatten"),
    ],
)
def test_a_network_without_known_bounds_is_refused_with_its_reason(model, reason):
    x = torch.rand(2, 1, 2, 2)
    with pytest.raises(NoCertificateError, match=reason):
        certified(model, x, torch.tensor([0, 1]), 0.1, "inf")


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(1, 4, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3, bias=False)],
        [nn.BatchNorm2d(1, affine=False), nn.Flatten(), nn.Linear(64, 3)],
        [nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)],
    ],
)
def test_a_chain_lies_on_its_networks_device(layers):
    """On one without memory, which any machine has."""
    chain = read_chain(nn.Sequential(*layers).to("meta").eval(), (1, 8, 8))
    tensors = [value for layer in chain.layers for value in vars(layer).values()]
    assert {value.device.type for value in tensors if isinstance(value, Tensor)} == {"meta"}
