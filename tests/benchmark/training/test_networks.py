"""Making, keeping and describing models."""

import os
import random

import pytest
import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.testing import assert_close

from benchmark.training import networks
from registry.load import Registry
from registry.spec import Architecture, InputError

from ...registry import nets

REGISTRY = Registry()
LARGE = {"vgg_like", "cnn7", "preact_resnet_18", "wrn_28_10", "wrn_50_2_bottleneck"}
NAMES = sorted(set(REGISTRY.architectures) - LARGE)


def dataset(shape=(1, 8, 8), K=10, mean=0.25, std=0.5):
    return nets.dataset(shape, K, mean, std)


def timms(name, **kwargs):
    return Architecture(name=f"timm:{name}", title=name, timm=name, kwargs=kwargs)


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides_the_weights(name):
    architecture = REGISTRY.architecture(name)
    first = networks.create(architecture, dataset(), seed=3)
    torch.rand(5)
    assert same(first, networks.create(architecture, dataset(), seed=3))
    assert not same(first, networks.create(architecture, dataset(), seed=4))


@pytest.mark.parametrize(
    "architecture", [REGISTRY.architecture("lenet_5"), timms("test_resnet")], ids=lambda a: a.name
)
def test_creating_leaves_the_global_random_state_alone(architecture):
    torch.manual_seed(5)
    random.seed(5)
    before, python = torch.get_rng_state(), random.getstate()
    networks.create(architecture, dataset((3, 32, 32)), seed=9)
    assert torch.equal(torch.get_rng_state(), before)
    assert random.getstate() == python


def test_the_model_normalises_its_images():
    model = networks.create(REGISTRY.architecture("lenet_5"), dataset((3, 28, 28)), seed=0)
    x = torch.rand(2, 3, 28, 28)
    assert_close(model(x), model.net((x - 0.25) / 0.5))


def test_each_channel_has_its_own_mean_and_std():
    normalize = networks.Normalize((0.1, 0.2, 0.3), (0.5, 0.25, 2.0))
    x = torch.full((1, 3, 1, 1), 0.6)
    assert_close(normalize(x).flatten(), torch.tensor([1.0, 1.6, 0.15]))


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_model_comes_back_bit_by_bit(name, tmp_path):
    architecture = REGISTRY.architecture(name)
    model = networks.create(architecture, dataset(), seed=1)
    model(torch.rand(4, 1, 8, 8))  # moves running statistics
    networks.save(model, tmp_path / "weights.safetensors", {"key": "abc"})
    loaded = networks.load(architecture, dataset(), tmp_path / "weights.safetensors")
    assert same(model, loaded)
    assert all(a.dtype == b.dtype for a, b in zip(model.parameters(), loaded.parameters()))
    x = torch.rand(4, 1, 8, 8)
    assert torch.equal(model.eval()(x), loaded.eval()(x))


def test_metadata_is_kept_and_no_temporary_file_stays(tmp_path):
    path = tmp_path / "weights.safetensors"
    model = networks.create(REGISTRY.architecture("lenet_5"), dataset(), seed=0)
    networks.save(model, path, {"key": "0123"})
    networks.save(model, path, {"key": "4567"})
    with safetensors.safe_open(path, "pt") as file:
        assert file.metadata() == {"key": "4567"}
    assert os.listdir(tmp_path) == ["weights.safetensors"]


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_behind(tmp_path, monkeypatch):
    path = tmp_path / "weights.safetensors"
    architecture = REGISTRY.architecture("lenet_5")
    old = networks.create(architecture, dataset(), seed=0)
    networks.save(old, path, {})

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        networks.save(networks.create(architecture, dataset(), seed=1), path, {})
    assert same(old, networks.load(architecture, dataset(), path))
    assert os.listdir(tmp_path) == ["weights.safetensors"]


def test_weights_in_channels_last_order_are_saved(tmp_path):
    architecture = REGISTRY.architecture("lenet_5")
    model = networks.create(architecture, dataset((3, 32, 32)), seed=0).to(
        memory_format=torch.channels_last
    )
    networks.save(model, tmp_path / "w", {})
    assert same(model, networks.load(architecture, dataset((3, 32, 32)), tmp_path / "w"))


def test_a_model_keeps_the_mean_and_std_it_was_trained_with(tmp_path):
    architecture = REGISTRY.architecture("lenet_5")
    networks.save(networks.create(architecture, dataset(mean=0.25), seed=0), tmp_path / "w", {})
    assert (
        networks.load(architecture, dataset(mean=0.75), tmp_path / "w").normalize.mean.item()
        == 0.25
    )


@pytest.mark.parametrize("length", [0, 4, 100, -1])
def test_a_file_cut_short_is_refused_by_name(tmp_path, length):
    path = tmp_path / "weights.safetensors"
    architecture = REGISTRY.architecture("lenet_5")
    networks.save(networks.create(architecture, dataset(), seed=0), path, {})
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(
        InputError, match=r"weights\.safetensors: is no whole safetensors file .* delete it"
    ):
        networks.load(architecture, dataset(), path)


def test_a_corrupt_header_is_refused(tmp_path):
    (tmp_path / "w").write_bytes(b"\x10" + bytes(7) + b"not json at all!" + bytes(50))
    with pytest.raises(InputError, match="w: is no whole safetensors file"):
        networks.load(REGISTRY.architecture("lenet_5"), dataset(), tmp_path / "w")


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(
        InputError, match=r"absent\.safetensors: cannot be read: .*run the trial again"
    ):
        networks.load(REGISTRY.architecture("lenet_5"), dataset(), tmp_path / "absent.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: state | {"net.extra": torch.zeros(1)},
            r"net\.extra is float32\[1\], not expected",
        ),
        (
            lambda state: {name: state[name] for name in state if name != "normalize.std"},
            r"normalize\.std is missing, not float32",
        ),
        (
            lambda state: state | {"normalize.std": state["normalize.std"].double()},
            r"float64\[1, 1, 1\], not float32\[1, 1, 1\]",
        ),
    ],
)
def test_other_tensors_than_the_networks_are_refused(tmp_path, change, message):
    path = tmp_path / "w"
    architecture = REGISTRY.architecture("lenet_5")
    networks.save(networks.create(architecture, dataset(), seed=0), path, {})
    save_file(change(load_file(path)), path)
    with pytest.raises(InputError, match=message):
        networks.load(architecture, dataset(), path)


def test_weights_for_another_number_of_classes_are_refused(tmp_path):
    architecture = REGISTRY.architecture("lenet_5")
    networks.save(networks.create(architecture, dataset(K=10), seed=0), tmp_path / "w", {})
    with pytest.raises(InputError, match="'lenet_5' on dataset 'some'"):
        networks.load(architecture, dataset(K=2), tmp_path / "w")


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"timm": "lenet_6"}, r"lenet\.py: registers no 'lenet_6'"),
        ({"module": "lenets.py"}, r"lenets\.py: no such file"),
    ],
)
def test_a_table_that_names_what_is_not_there_is_refused(field, message):
    with pytest.raises(InputError, match=r"registry/architectures/" + message):
        networks.create(
            REGISTRY.architecture("lenet_5").model_copy(update=field), dataset(), seed=0
        )


# --- networks of timm's
# -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shape"),
    [("resnet18", (1, 28, 28)), ("resnet18", (3, 32, 32)), ("test_vit", (1, 32, 32))],
)
def test_timms_networks_take_small_images(name, shape):
    model = networks.create(timms(name), dataset(shape, K=3), seed=0)
    assert model.training
    assert model(torch.rand(2, *shape)).shape == (2, 3)


def test_timms_networks_do_not_overwrite_what_enters_an_activation():
    model = networks.create(timms("test_resnet"), dataset((3, 32, 32)), seed=0).eval()
    seen = []
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(
                lambda module, args, out: seen.append((args[0].clone(), out))
            )
    model(torch.rand(1, 3, 32, 32))
    assert any((before < 0).any() for before, _ in seen)


def test_an_unknown_network_is_refused_with_the_nearest_names():
    with pytest.raises(
        InputError, match=r"timm has no network 'resnet18x'; did you mean .*\bresnet18\b"
    ):
        networks.create(timms("resnet18x"), dataset(), seed=0)


@pytest.mark.parametrize(
    "name", ["resnet18.a1_in1k", "hf-hub:timm/resnet18.a1_in1k", "local-dir:/nowhere"]
)
def test_names_of_pretrained_weights_are_refused(name):
    with pytest.raises(InputError, match="timm has no network"):
        networks.create(timms(name), dataset(), seed=0)


def test_kwargs_cannot_ask_for_pretrained_weights():
    with pytest.raises(InputError, match="pretrained"):
        networks.create(timms("resnet18", pretrained=True), dataset((3, 32, 32)), seed=0)


def test_our_networks_are_not_timms_whatever_was_loaded_before():
    networks.create(REGISTRY.architecture("lenet_5"), dataset(), seed=0)
    with pytest.raises(InputError, match="timm has no network 'lenet_5'"):
        networks.create(timms("lenet_5"), dataset(), seed=0)


@pytest.mark.parametrize("name", ["vgg11", "test_vit"])
def test_a_network_that_cannot_take_the_size_is_refused(name):
    with pytest.raises(
        InputError, match=r"cannot take the 1×8×8 images of dataset 'some' \(.+\); choose"
    ):
        networks.create(timms(name), dataset((1, 8, 8)), seed=0)


def test_images_too_small_for_one_of_ours_are_refused():
    with pytest.raises(InputError, match=r"cannot take the 1×2×2 images .*too small"):
        networks.create(REGISTRY.architecture("lenet_5_caffe"), dataset((1, 2, 2)), seed=0)


def test_unknown_kwargs_are_refused():
    with pytest.raises(InputError, match="wings"):
        networks.create(timms("resnet18", wings=2), dataset((3, 32, 32)), seed=0)


# --- coupling of examples
# ---------------------------------------------------------------------------------------------


def moves_with_the_batch(model):
    """The definition: in training mode, the first example's logits change with the other examples
    or from call to call.
    """
    generator = torch.Generator().manual_seed(0)
    x, other = torch.rand(2, 4, 3, 32, 32, generator=generator)
    with torch.no_grad():
        for parameter in model.parameters():  # a fixup net starts with all logits 0
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
        first, *rest = (
            model.train()(torch.cat([x[:1], rest]))[0] for rest in (x[1:], *[other[1:]] * 8)
        )
    return not all(torch.allclose(first, logits, rtol=1e-3, atol=1e-5) for logits in rest)


@pytest.mark.parametrize(
    "architecture",
    [
        *map(REGISTRY.architecture, [*NAMES, "vgg_like", "cnn7", "preact_resnet_18"]),
        timms("test_resnet"),
        timms("test_vit"),
        timms("test_vit", drop_rate=0.5),
        timms("test_vit", drop_path_rate=0.5),
        timms("test_vit", proj_drop_rate=0.5),
        timms("test_vit", attn_drop_rate=0.5),
        timms("resnet18", drop_rate=0.5),
        timms("test_convnext"),
        timms("test_convnext", drop_path_rate=0.5),
        timms("test_vit", patch_drop_rate=0.5),
    ],
    ids=lambda a: f"{a.name}-{a.kwargs}" if a.kwargs else a.name,
)
def test_coupling_is_told_as_it_is_in_training_mode(architecture):
    model = networks.create(architecture, dataset((3, 32, 32)), seed=0)
    torch.manual_seed(0)
    assert networks.couples_examples(model) == moves_with_the_batch(model)


@pytest.mark.parametrize(
    ("module", "couples"),
    [
        (nn.Dropout(0.1), True),
        (nn.Dropout(0.0), False),
        (nn.RReLU(), True),
        (nn.BatchNorm2d(3), True),
        (nn.GroupNorm(1, 3), False),
        (nn.LPPool2d(3, 2), False),
    ],
)
def test_a_layer_is_known_by_its_kind_and_rate(module, couples):
    assert networks.couples_examples(nn.Sequential(nn.Identity(), module)) is couples
