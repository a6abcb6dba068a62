"""Forward passes against the papers' equations, written with functions and the weights in order."""

import pytest
import timm
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from .nets import REGISTERED, create, images, shaken


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
