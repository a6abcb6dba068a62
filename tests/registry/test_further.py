"""Registries of one's own, beside the one here: all of it is seen, and a name is given once."""

import json
import subprocess
import sys

import pytest

from registry.load import Registry
from registry.places import HERE
from registry.spec import InputError

from ..files import write

DATASET = """
name = "shapes"
title = "Shapes"
licence = "CC0"
classes = ["a", "b"]
shape = [1, 8, 8]
train_size = 40
test_size = 10
mean = [0.5]
std = [0.5]
"""
NETWORK = """
[[architecture]]
name = "narrow"
title = "Narrow"
timm = "narrow_net"
module = "narrow.py"
"""
TRACK = """
name = "shapes"
title = "Shapes"
dataset = "shapes"
architectures = ["narrow"]
seeds = 3
threats = [{ attack = "pgd" }]
headline = "pgd-inf-0.1"
clean_floor = 0.5
entry = [{ regularizer = "none" }, { regularizer = "mine", lambda = [0.1, 0.2] }]

[recipe]
batch_size = 8
learning_rate = 0.1
reference_epochs = 1
fine_tune_epochs = 1
"""


def filled(folder):
    """A registry with one thing of each kind; the method is another's under a new name."""
    write(folder, "datasets/shapes.toml", DATASET)
    write(folder, "architectures/narrow.toml", NETWORK)
    write(folder, "tracks/shapes.toml", TRACK)
    source = HERE / "regularizers" / "jacobian"
    card = (source / "card.toml").read_text().replace('name = "jacobian"', 'name = "mine"')
    write(folder, "regularizers/mine/card.toml", card)
    write(folder, "regularizers/mine/regularizer.py", (source / "regularizer.py").read_text())
    return folder


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.setenv("REGBENCH_REGISTRY", str(filled(tmp_path / "mine")))
    return tmp_path / "mine"


def test_data_networks_methods_and_tracks_of_one_s_own_are_registered(mine):
    trials = [trial for _, trial in Registry().select(["shapes"])]
    assert len({trial.key for trial in trials}) == 3 * 3
    (method,) = {trial.plugin for trial in trials if trial.plugin}
    assert method == str(mine / "regularizers" / "mine")
    assert not any(trial.sandboxed for trial in trials)
    assert "quickstart" in Registry().track_names


def test_a_method_of_one_s_own_may_be_looked_at_as_a_submission(mine):
    known = Registry(HERE, mine / "regularizers", "mine")
    assert known.regularizer("mine").submitted
    assert known.regularizer_folders["mine"] == mine / "regularizers" / "mine"


def test_every_command_sees_them(mine, home):
    for kind, name in (
        ("tracks", "shapes"),
        ("datasets", "shapes"),
        ("architectures", "narrow"),
        ("regularizers", "mine"),
        ("entries", "shapes/narrow/mine/0.1"),
    ):
        command = [sys.executable, "-m", "benchmark.commands", "list", kind, "--json"]
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        assert name in {row["name"] for row in json.loads(said.stdout)}, said.stderr


def test_several_folders_stand_one_after_another_as_in_a_path(mine, tmp_path, monkeypatch):
    other = tmp_path / "other"
    write(other, "datasets/others.toml", DATASET.replace('"shapes"', '"others"'))
    monkeypatch.setenv("REGBENCH_REGISTRY", f"{mine}:{other}:{mine}")
    assert {"shapes", "others", "digits"} <= set(Registry().dataset_names)


@pytest.mark.parametrize(
    ("path", "ask"),
    [
        ("datasets/digits.toml", lambda known: known.dataset("mnist")),
        ("tracks/quickstart.toml", lambda known: known.track("guo-fashion")),
        ("regularizers/jacobian/card.toml", lambda known: known.regularizer("curvature")),
    ],
)
def test_a_name_that_is_taken_is_refused_in_one_line(mine, path, ask):
    write(mine, path, (HERE / path).read_text())
    with pytest.raises(InputError, match=r"the name '\w+' is taken by ") as refused:
        ask(Registry())
    told = str(refused.value)
    assert str(mine) in told and "registry" in told.partition("taken by")[2]
    assert len(told.splitlines()) == 1


def test_a_network_s_name_that_is_taken_is_refused_in_one_line(mine):
    write(mine, "architectures/more.toml", NETWORK.replace('"narrow"', '"lenet_5"'))
    with pytest.raises(InputError, match=r"architecture 1: name 'lenet_5' is taken by .*lenet"):
        Registry().architecture("linear")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda folder: None, "is no folder; name one laid out as registry/"),
        (lambda folder: folder.mkdir(), "is no registry; it needs a folder datasets or"),
    ],
)
def test_what_is_no_registry_is_refused_in_one_line(tmp_path, monkeypatch, make, expected):
    make(tmp_path / "nothing")
    monkeypatch.setenv("REGBENCH_REGISTRY", str(tmp_path / "nothing"))
    command = [sys.executable, "-m", "benchmark.commands", "list"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 2
    assert said.stderr.startswith("regbench: REGBENCH_REGISTRY: ") and expected in said.stderr
    assert len(said.stderr.splitlines()) == 1


def test_a_package_s_entry_point_names_a_registry(tmp_path):
    """In a process that finds the package and what its installation says of it."""
    filled(tmp_path / "their_package" / "registry")
    write(tmp_path, "their_package/__init__.py", "raise SystemExit('it need not be imported')")
    info = "their_package-1.dist-info"
    write(tmp_path, f"{info}/METADATA", "Metadata-Version: 2.1\nName: their-package\nVersion: 1\n")
    points = "[regbench.registry]\ntheirs = their_package\n"
    (tmp_path / "their_package" / "datasets").mkdir()
    write(tmp_path, f"{info}/entry_points.txt", points)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from registry.load import Registry\n"
        "from registry.places import further\n"
        "print(*further())\n"
    )
    run = [sys.executable, "-c", code]
    said = subprocess.run(run, capture_output=True, text=True, check=False)
    assert said.stdout.strip() == str(tmp_path / "their_package"), said.stderr
    write(tmp_path, f"{info}/entry_points.txt", points.replace("= their", "= no_such"))
    said = subprocess.run(run, capture_output=True, text=True, check=False)
    assert "entry point 'theirs' of regbench.registry: no_such_package is no pac" in said.stderr


def test_own_data_of_one_description_but_two_names_or_revisions_are_two(mine):
    write(mine, "datasets/others.toml", DATASET.replace('"shapes"', '"others"'))
    revised = DATASET.replace('"shapes"', '"revised"') + 'revision = "2"\n'
    write(mine, "datasets/revised.toml", revised)
    known = Registry()
    found = {known.dataset(name).identity for name in ("shapes", "others", "revised")}
    assert len(found) == 3
    again = known.dataset("revised").model_copy(update={"revision": "3"})
    assert again.identity not in found


def test_a_network_of_one_s_own_is_built_from_the_file_beside_its_toml(mine):
    code = """
from torch import nn
from registry.architectures.layers import register_from_scratch

@register_from_scratch
def narrow_net(num_classes=10, in_chans=1, img_size=(8, 8)):
    return nn.Sequential(nn.Flatten(), nn.Linear(in_chans * img_size[0] * img_size[1], num_classes))
"""
    from benchmark.training import networks

    known = Registry()
    network, data = known.architecture("narrow"), known.dataset("shapes")
    with pytest.raises(InputError, match=r"narrow\.py: no such file, but architecture 'narrow'"):
        networks.create(network, data, seed=0)
    write(mine, "architectures/narrow.py", code)
    for _ in range(2):
        model = networks.create(network, data, seed=0)
    assert [tuple(weight.shape) for weight in model.parameters()] == [(2, 64), (2,)]


@pytest.mark.parametrize("taken", ["lenet_5", "resnet18"])
def test_a_network_of_one_s_own_takes_no_other_s_name(mine, taken):
    from benchmark.training import networks

    known = Registry()
    write(
        mine,
        "architectures/narrow.py",
        "from registry.architectures.layers import register_from_scratch\n\n\n"
        f"@register_from_scratch\ndef {taken}(num_classes=10, in_chans=1):\n    return None\n",
    )
    networks.create(known.architecture("lenet_5"), known.dataset("digits"), seed=0)
    with pytest.raises(InputError, match=rf"narrow\.py: registers a network '{taken}', but .* has"):
        networks.create(known.architecture("narrow"), known.dataset("shapes"), seed=0)
