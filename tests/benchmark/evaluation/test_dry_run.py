"""Every track can be executed: two steps of training by every method, one batch of every attack and
measure.

On noise in the hub's layout. Shrunk are images, iterations, and the steps and restarts of attacks
and searches; the giant networks, WRN-28-10 and WRN-50-2, also see one image at a time of two
classes, so that a Jacobian is two gradients, and are trained by `adversarial_training` alone.
"""

import importlib

import numpy as np
import pytest
import torch

from benchmark import data
from benchmark.evaluation import columns as further_measures
from benchmark.evaluation import honesty as model_checks
from benchmark.evaluation.evaluate import evaluate
from benchmark.regularizer import load_regularizer
from benchmark.training import networks
from benchmark.training.loop import Phase, train
from registry.load import Registry
from registry.spec import Part

from ..data.image_files import write_parquet

pytestmark = pytest.mark.slow

REGISTRY = Registry()
GIANT = {"wrn_28_10", "wrn_50_2_bottleneck"}
PER_CLASS, BATCH = 8, 2
TRACKS = [
    (track.name, architecture)
    for track in map(REGISTRY.track, REGISTRY.track_names)
    for architecture in track.architectures
]


def write_noise(dataset, folder):
    """`train-*.parquet` and the test split's, with a few images of each of the first classes, under
    the hub's columns.
    """
    rng = np.random.default_rng(0)
    channels, height, width = dataset.shape
    labels = [label for label in range(min(len(dataset.classes), 10)) for _ in range(PER_CLASS)]
    for split in ("train", dataset.test_split):
        images = rng.integers(256, size=(len(labels), height, width, channels), dtype=np.uint8)
        write_parquet(folder / f"{split}-00000-of-00001.parquet", dataset, images, labels)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    for name in REGISTRY.dataset_names:
        dataset = REGISTRY.dataset(name)
        if dataset.hub:
            write_noise(dataset, root / name / (dataset.config or "data"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGBENCH_DATA", str(root))
        patch.setattr(model_checks, "QUERIES", 2)
        patch.setattr(model_checks, "STEPS", 2)
        # Padded batches give equal last bits whatever their size: not asked for here.
        patch.setattr(importlib.import_module("benchmark.attacks.frozen"), "BLOCK", 1)
        patch.setattr(further_measures, "RADII", (0.5,))
        patch.setattr(further_measures, "VARIATION", (1,))
        yield tmp_path_factory.mktemp("home")


def dataset_of(track, architecture):
    dataset = REGISTRY.dataset(track.dataset)
    return dataset.model_copy(update={"subset": (0, 1)}) if architecture in GIANT else dataset


def methods():
    """(dataset, architecture, regularizer) → the track and λ under which it is tried: the largest
    of its first grid.

    Of datasets whose images and classes are alike the first stands for all: training sees no more
    of them.
    """
    found, alike = {}, {}
    for name, architecture in TRACKS:
        track = REGISTRY.track(name)
        for entry in REGISTRY.entries(name):
            if (
                entry.architecture == architecture
                and entry.strength > 0
                and (
                    architecture not in GIANT
                    or entry.regularizer.startswith("adversarial_training")
                )
            ):
                dataset = REGISTRY.dataset(track.dataset)
                shape = (*dataset.shape, dataset.num_classes)
                key = alike.setdefault(shape, track.dataset), architecture, entry.regularizer
                if key not in found or (found[key][0] == name and found[key][1] < entry.strength):
                    found[key] = name, entry.strength
    # Of a giant's variants of its one method the first.
    first = {
        (dataset, architecture): regularizer
        for dataset, architecture, regularizer in reversed(found)
        if architecture in GIANT
    }
    return {key: value for key, value in found.items() if first.get(key[:2], key[2]) == key[2]}


METHODS = methods()


def trial_of(name, architecture, regularizer, strength):
    track = REGISTRY.track(name)
    entry = next(
        e
        for e in REGISTRY.entries(name)
        if (e.architecture, e.regularizer, e.strength) == (architecture, regularizer, strength)
    )
    trial = REGISTRY.trial(entry, track, 0)
    recipe = trial.recipe.model_copy(
        update={
            "batch_size": 1 if architecture in GIANT else BATCH,
            "fine_tune_epochs": 0,
            "fine_tune_iterations": 2,
            "reference_epochs": 0,
            "reference_iterations": None,
            "train_size": None,
        }
    )
    known = REGISTRY.method_and_params(regularizer)[0].card.params
    params = trial.params | {name: 1 for name in ("steps", "iterations") if name in known}
    return trial.model_copy(
        update={"recipe": recipe, "dataset": dataset_of(track, architecture), "params": params}
    )


@pytest.mark.parametrize(("dataset", "architecture", "regularizer"), METHODS)
def test_every_method_takes_two_steps_on_every_architecture_and_kind_of_images(
    home, dataset, architecture, regularizer
):
    name, strength = METHODS[dataset, architecture, regularizer]
    trial = trial_of(name, architecture, regularizer, strength)
    images = data.load(trial.dataset, home)
    model = networks.create(trial.architecture, trial.dataset, seed=0)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    result = train(
        model,
        images.train,
        Phase.of(trial.recipe, "fine_tune", len(images.train.labels)),
        seed=0,
        regularizer=load_regularizer(trial.plugin, trial.params),
        strength=trial.entry.strength,
    )
    assert result.iterations <= 2
    if result.status == "finished":
        assert result.iterations == 2
        assert any(not torch.equal(one, other) for one, other in zip(before, model.parameters()))
    assert result.epochs or result.status == "diverged"


def shrunk(part: Part) -> Part:
    small = {"examples": 1}
    if part.threat is not None:
        steps = {
            name: min(getattr(part.threat, name), 2)
            for name in ("steps", "restarts")
            if getattr(part.threat, name)
        }
        small["threat"] = part.threat.model_copy(update=steps)
    return part.model_copy(update=small)


@pytest.mark.parametrize(("name", "architecture"), TRACKS)
def test_every_attack_and_measure_of_every_track_gives_rows(home, name, architecture):
    track = REGISTRY.track(name)
    dataset = dataset_of(track, architecture)
    images = data.load(dataset, home)
    model = networks.create(REGISTRY.architecture(architecture), dataset, seed=0).eval()
    asked = [shrunk(part) for part in track.evaluation]
    found = dict(evaluate(model, images, asked, seed=0))
    assert found.keys() == set(asked)
    for part, rows in found.items():
        assert rows.scores
        if part.name != "honesty":
            assert rows.examples
            assert all(len(column.values) == 1 for column in rows.examples)
