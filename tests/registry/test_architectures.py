"""Every registered architecture: its facts, and that it trains and stacks on every image size."""

import subprocess
import sys

import pytest
import timm
import torch
from torch.func import functional_call, stack_module_state
from torch.testing import assert_close

from benchmark.training import networks

from .nets import LARGE, OURS, REGISTERED, create, images, shaken

ACTIVATIONS = ["relu", "swish", "softplus", "gelu"]


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
