"""Every registered architecture: its facts, its size, its forward pass against the papers'
equations.
"""

import subprocess
import sys
from itertools import pairwise
from math import prod

import pytest
import timm
import torch
from torch.func import functional_call, stack_module_state
from torch.nn import functional as F
from torch.testing import assert_close

from benchmark.training import networks
from registry.load import Registry
from registry.spec import Dataset

REGISTERED = Registry().architectures
OURS = sorted(name for name, architecture in REGISTERED.items() if architecture.module)
LARGE = {"wrn_28_10", "wrn_50_2_bottleneck"}  # too slow for all but a few checks
ACTIVATIONS = ["relu", "swish", "softplus", "gelu"]
SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 56, 56), (3, 64, 64)]


def dataset(shape, K=10):
    return Dataset(
        name="some",
        title="",
        licence="",
        classes=tuple(map(str, range(K))),
        shape=shape,
        train_size=1,
        test_size=1,
        mean=(0.4,) * shape[0],
        std=(0.3,) * shape[0],
        packaged="none",
    )


def create(name, shape=(3, 8, 8), K=10, seed=0, **update):
    return networks.create(
        REGISTERED[name].model_copy(update=update), dataset(shape, K), seed=seed
    ).eval()


def images(shape, count=2, dtype=torch.float32):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(1), dtype=dtype)


def shaken(model):
    """The model with every parameter moved at random: no block is an identity and no layer zero, as
    after training.
    """
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(
                parameter.shape, generator=generator, dtype=parameter.dtype
            )
    return model


def test_reading_the_architectures_loads_no_torch():
    code = (
        "import sys; from registry.load import Registry; assert Registry().architectures; "
        "sys.exit(bool({'torch', 'timm'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", OURS)
def test_every_architecture_cites_its_paper_and_has_a_documented_builder(name):
    build, _ = networks._of_ours(REGISTERED[name])
    assert REGISTERED[name].paper
    assert build.__doc__


@pytest.mark.parametrize("name", OURS)
def test_no_name_of_ours_is_one_of_timms(name):
    assert not timm.is_model(REGISTERED[name].timm)


def test_a_network_of_ours_is_made_without_timm():
    code = (
        "import sys; from benchmark.training import networks; from registry.load import Registry; "
        "known = Registry(); "
        "networks.create(known.architecture('lenet_5'), known.dataset('digits'), seed=0); "
        "sys.exit(bool({'timm', 'torchvision', 'torch._dynamo'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- sizes ----------------------------------------------------------------------------------------


def chain(*widths):
    """Parameters of fully connected layers with biases."""
    return sum((a + 1) * b for a, b in pairwise(widths))


def filters(kernel, *channels, bias=True):
    """Parameters of a chain of convolutions."""
    return sum((a * kernel**2 + bias) * b for a, b in pairwise(channels))


# The side of the map that the first fully connected layer sees, worked out by hand for SHAPES'
# sides.
FLAT_SIDE = {
    "lenet_5": {8: 2, 28: 5, 32: 5, 56: 11, 64: 13},
    "lenet_5_caffe": {8: 1, 28: 4, 32: 5, 56: 11, 64: 13},
    "conv4_bn": {8: 2, 28: 7, 32: 8, 56: 14, 64: 16},
    "vgg_like": {8: 1, 28: 1, 32: 2, 56: 3, 64: 4},
    "cnn7": {8: 1, 28: 1, 32: 1, 56: 2, 64: 3},
    "conv4_swish": {8: 1, 28: 4, 32: 5, 56: 11, 64: 13},
}


def cifar_resnet_size(depth, C, K, batch_norm):
    n, total, norms = (depth - 2) // 6, filters(3, C, 16, bias=False), 16
    for a, b in ((16, 16), (16, 32), (32, 64)):
        total += filters(3, a, *[b] * (2 * n), bias=False)
        norms += 2 * n * b
    return total + chain(64, K) + (2 * norms if batch_norm else 0)


def preact_size(stem, widths, depth, C, K):
    total, a = filters(3, C, stem, bias=False), stem
    for b in widths:
        total += filters(3, a, *[b] * (2 * depth), bias=False) + (
            a * b if (a, b) != (64, 64) else 0
        )
        total += 2 * (a + (2 * depth - 1) * b)
        a = b
    return total + 2 * a + chain(a, K)


def expected_size(name, shape, K):
    C, H, _ = shape
    area = FLAT_SIDE[name][H] ** 2 if name in FLAT_SIDE else 0
    match name:
        case "linear":
            return chain(prod(shape), K)
        case "lenet_300_100":
            return chain(prod(shape), 300, 100, K)
        case "lenet_5":
            return filters(5, C, 6, 16) + chain(16 * area, 120, 84, K)
        case "lenet_5_caffe":
            return filters(5, C, 20, 50) + chain(50 * area, 500, K)
        case "conv4_bn":
            return filters(3, C, 32, 32, 64, 64) + 2 * 192 + chain(64 * area, K)
        case "vgg_like":
            return filters(3, C, *[64] * 2, *[128] * 2, *[256] * 4, *[512] * 4) + chain(
                512 * area, 512, K
            )
        case "cnn7":
            return filters(3, C, 128, 128, 256, 256, 512, 512, 1024) + chain(1024 * area, K)
        case "conv4_swish":
            return filters(3, C, 32, 32, 64, 64) + chain(64 * area, 200, 200, K)
        case "resnet_31":
            return cifar_resnet_size(32, C, K, batch_norm=False)
        case "wrn_28_10":
            return preact_size(16, (160, 320, 640), 4, C, K)
        case "preact_resnet_18":
            return preact_size(64, (64, 128, 256, 512), 2, C, K)
        case "wrn_50_2_bottleneck":
            with torch.device("meta"):
                published = timm.create_model("wide_resnet50_2", num_classes=K, in_chans=C)
            return sum(p.numel() for p in published.parameters()) - (7**2 - 3**2) * C * 64
    return cifar_resnet_size(int(name.split("_")[1]), C, K, batch_norm=not name.endswith("fixup"))


def size(name, shape, K):
    build, _ = networks._of_ours(REGISTERED[name])
    kwargs = (
        {"img_size": shape[1:]} if name in FLAT_SIDE or name in ("lenet_300_100", "linear") else {}
    )
    with torch.device("meta"):
        net = build(num_classes=K, in_chans=shape[0], **kwargs)
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_size_follows_from_the_papers_description(name, shape):
    assert size(name, shape, K=7) == expected_size(name, shape, K=7)


@pytest.mark.parametrize(
    ("name", "shape", "parameters"),
    [
        ("lenet_300_100", (1, 28, 28), 266_610),
        ("lenet_5", (1, 28, 28), 61_706),
        ("lenet_5", (3, 32, 32), 62_006),
        ("lenet_5_caffe", (1, 28, 28), 431_080),
        ("conv4_swish", (1, 28, 28), 312_202),
        ("preact_resnet_18", (3, 32, 32), 11_172_170),
        ("wrn_28_10", (3, 32, 32), 36_479_194),
    ],
)
def test_the_size_is_the_well_known_one(name, shape, parameters):
    assert size(name, shape, K=10) == parameters


@pytest.mark.parametrize(
    ("name", "millions", "digits"),
    [
        ("resnet_56", 0.85, 2),
        ("resnet_110", 1.7, 1),
        ("wrn_28_10", 36.5, 1),
        ("preact_resnet_18", 11.17, 2),
    ],
)
def test_the_size_is_the_papers(name, millions, digits):
    assert round(size(name, (3, 32, 32), K=10) / 1e6, digits) == millions


# --- forward passes -------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 28, 20)])
@pytest.mark.parametrize("name", [name for name in OURS if name not in LARGE])
def test_logits_have_one_column_per_class_on_every_image_size(name, shape):
    K = 2 if shape[0] == 1 else 10
    with torch.no_grad():
        logits = shaken(create(name, shape, K))(images(shape))
    assert logits.shape == (2, K)
    assert logits.isfinite().all()


@pytest.mark.parametrize("shape", [(3, 56, 56), (3, 64, 64)])
@pytest.mark.parametrize("name", [name for name in OURS if "110" not in name and name not in LARGE])
def test_logits_are_finite_on_tiny_imagenets_sizes(name, shape):
    with torch.no_grad():
        assert create(name, shape, 200)(images(shape, 1)).isfinite().all()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", [name for name in OURS if REGISTERED[name].activation])
def test_initial_logits_are_finite_with_every_activation(name, activation):
    with torch.no_grad():
        model = create(name, activation=activation)
        assert model(images((3, 8, 8), 1)).isfinite().all()
    wanted = {
        "relu": torch.nn.ReLU,
        "swish": torch.nn.SiLU,
        "softplus": torch.nn.Softplus,
        "gelu": torch.nn.GELU,
    }
    others = tuple(kind for key, kind in wanted.items() if key != activation)
    assert any(isinstance(module, wanted[activation]) for module in model.modules())
    assert not any(isinstance(module, others) for module in model.modules())


@pytest.mark.parametrize("name", [name for name in OURS if name not in LARGE])
def test_gradients_reach_every_parameter_and_the_image(name):
    model = shaken(
        create(name)
    )  # a fixup net's zero layers hold gradients back before the first steps
    x = images((3, 8, 8)).requires_grad_()
    model(x).square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize(
    "name", [name for name in OURS if name not in {*LARGE, "vgg_like", "cnn7", "preact_resnet_18"}]
)
def test_mapping_over_stacked_models_equals_a_loop(name):
    nets = [shaken(create(name, seed=seed).double()) for seed in range(2)]
    x = images((3, 8, 8), 3, torch.float64)
    parameters, buffers = stack_module_state(nets)
    mapped = torch.func.vmap(lambda p, b: functional_call(nets[0], (p, b), (x,)))(
        parameters, buffers
    )
    assert_close(mapped, torch.stack([net(x) for net in nets]))


# --- against the equations, written with functions and the weights in order
# -------------------------------------------


def weights_of(model):
    """Draws the network's tensors one by one in the order of definition; BatchNorm takes four at
    once.
    """
    tensors = iter([t for name, t in model.net.state_dict().items() if "num_batches" not in name])

    def conv(x, stride=1):
        weight = next(tensors)
        return F.conv2d(x, weight, stride=stride, padding=weight.shape[2] // 2)

    def norm(x):
        scale, shift, mean, variance = (next(tensors)[:, None, None] for _ in range(4))
        return scale * (x - mean) / torch.sqrt(variance + 1e-5) + shift

    def linear(x):
        return x @ next(tensors).T + next(tensors)

    return conv, norm, linear


def with_running_statistics(model):
    generator = torch.Generator().manual_seed(3)
    for name, buffer in model.named_buffers():
        if "running" in name:
            buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
    return model


@pytest.mark.parametrize(
    ("name", "n", "batch_norm"),
    [("resnet_31", 5, False), ("resnet_56", 9, True), ("resnet_56_fixup", 9, False)],
)
@torch.no_grad()
def test_a_cifar_resnet_computes_he_et_als_equations(name, n, batch_norm):
    model = with_running_statistics(shaken(create(name).double()))
    conv, batch_normalised, linear = weights_of(model)
    norm = batch_normalised if batch_norm else lambda x: x
    x = images((3, 8, 8), dtype=torch.float64)
    h = norm(conv((x - 0.4) / 0.3)).relu()
    for stage in range(3):
        for number in range(n):
            stride = 2 if stage and not number else 1
            residual = norm(conv(norm(conv(h, stride)).relu()))
            shortcut = torch.zeros_like(residual)
            shortcut[:, : h.shape[1]] = h[:, :, ::stride, ::stride]
            h = (shortcut + residual).relu()
    assert_close(
        model(x), linear(h.mean((2, 3))), rtol=1e-5, atol=1e-5
    )  # mean and std are kept in float32


@torch.no_grad()
def test_preact_resnet_18_computes_he_et_als_equations():
    model = with_running_statistics(shaken(create("preact_resnet_18").double()))
    conv, norm, linear = weights_of(model)
    x = images((3, 8, 8), dtype=torch.float64)
    h = conv((x - 0.4) / 0.3)
    for stage in range(4):
        for number in range(2):
            stride = 2 if stage and not number else 1
            a = norm(h).relu()
            residual = conv(norm(conv(a, stride)).relu())
            h = residual + (conv(a, stride) if stride == 2 else h)
    assert_close(model(x), linear(norm(h).relu().mean((2, 3))), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_wrn_50_2_bottleneck_is_the_published_net_but_for_its_stem():
    model = create("wrn_50_2_bottleneck")
    theirs = timm.create_model("wide_resnet50_2", num_classes=10).eval()
    theirs.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
    theirs.maxpool = torch.nn.Identity()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), model.net.state_dict().values())))
    x = images((3, 8, 8), 1)
    assert_close(model(x), theirs((x - 0.4) / 0.3))


def test_a_fixup_net_starts_with_identity_blocks_and_zero_logits():
    model = create("resnet_56_fixup")
    x = images((3, 8, 8))
    assert_close(model(x), torch.zeros(2, 10), rtol=0, atol=0)
    h = model.net.stem(x)
    for block in model.net.blocks:
        assert_close(block(h), block.shortcut(h))  # h ≥ 0 already
        h = block(h)


def test_a_fixup_nets_first_convolutions_shrink_with_the_number_of_blocks():
    block = create("resnet_110_fixup").net.blocks[-1]
    weight = block.residual[0].weight
    assert weight.std().item() == pytest.approx((2 / (9 * 64)) ** 0.5 * 54**-0.5, rel=0.02)


def test_resnet_31_sees_an_input_gradient_before_its_first_step():
    x = images((3, 8, 8)).requires_grad_()
    (gradient,) = torch.autograd.grad(create("resnet_31")(x).square().sum(), x)
    assert gradient.abs().sum() > 0


def test_nets_for_second_derivatives_have_curvature():
    model = create("conv4_swish", (1, 28, 28))
    assert REGISTERED["conv4_swish"].activation == "swish"
    x = images((1, 28, 28), 1).requires_grad_()
    (gradient,) = torch.autograd.grad(model(x)[0, 0], x, create_graph=True)
    assert torch.autograd.grad(gradient.square().sum(), x)[0].abs().sum() > 0
