"""A key changes if and only if what is trained changes."""

import json
import random

import pytest

from registry.load import Registry
from registry.spec import Entry, Recipe, Trial
from registry.spec.base import canonical

# Raise TRAINER_VERSION on purpose, never these by accident: results under the old keys would be
# lost.
GOLDEN = ("21eeaac7bd501c19", "fdcb97a94f743e69", "1bc949a501d0b69b")


def keys(registry, *selectors, seeds=1):
    return {trial.entry.id: trial.key for _, trial in registry.select(selectors, seeds)}


def reading(folder):
    return Registry(folder, folder / "no-submissions")


def test_a_changed_copy_has_a_key_of_its_own():
    trial = next(trial for _, trial in Registry().select(["quickstart"], 1))
    assert trial.key != trial.model_copy(update={"seed": 7}).key
    assert trial.reference is not None
    assert trial.key != trial.reference.key


def test_keys_are_the_golden_ones():
    registry = Registry()
    trials = {trial.entry.id: trial for _, trial in registry.select(["quickstart"], 1)}
    fixed = trials["digits/lenet_300_100/jacobian/0.1"].model_copy(
        update={"regularizer_sha256": "0" * 64}
    )
    control = trials["digits/lenet_300_100/none/0"]
    assert (fixed.key, control.key, control.reference.key) == GOLDEN


@pytest.mark.parametrize("entry", ["none/0", "jacobian/0.1", "jacobian:projections=3/1e-05"])
def test_a_spec_is_canonical_json_although_it_is_put_together(entry):
    name, strength = entry.split("/")
    registry = Registry()
    trial = registry.trial(
        Entry(
            dataset="digits",
            architecture="lenet_300_100",
            regularizer=name,
            strength=float(strength),
        ),
        registry.track("quickstart"),
        0,
    )
    assert canonical(json.loads(trial.spec)) == trial.spec


def test_the_defaults_that_keys_leave_out_are_unchanged():
    assert Recipe(batch_size=1, learning_rate=1.0, reference_epochs=1).model_dump(
        exclude={"batch_size", "learning_rate"}
    ) == {
        "reference_epochs": 1,
        "fine_tune_epochs": 0,
        "reference_iterations": None,
        "fine_tune_iterations": None,
        "fine_tune_learning_rate": None,
        "schedule": "cosine",
        "milestones": (),
        "gamma": 1e-4,
        "power": 0.75,
        "momentum": 0.9,
        "weight_decay": 0.0,
        "warmup_epochs": 0.0,
        "ramp": 0.0,
        "train_size": None,
        "augment": "none",
    }


def test_shuffled_entries_change_no_key(registry_copy):
    path = registry_copy / "tracks" / "quickstart.toml"
    before = keys(reading(registry_copy), "quickstart")
    head, *entries = path.read_text().split("[[entry]]")
    random.Random(0).shuffle(entries)
    path.write_text("[[entry]]".join([head, *entries]))
    assert keys(reading(registry_copy), "quickstart") == before


def test_one_byte_of_a_regularizer_changes_its_own_keys_alone(registry_copy):
    before = keys(reading(registry_copy), "quickstart")
    code = registry_copy / "regularizers" / "jacobian" / "regularizer.py"
    code.write_bytes(code.read_bytes() + b"#")
    after = keys(reading(registry_copy), "quickstart")
    changed = {id for id in before if before[id] != after[id]}
    assert changed == {id for id in before if "/jacobian/" in id}


def test_line_endings_change_no_key(registry_copy):
    before = keys(reading(registry_copy), "quickstart")
    code = registry_copy / "regularizers" / "jacobian" / "regularizer.py"
    code.write_bytes(code.read_bytes().replace(b"\n", b"\r\n"))
    assert keys(reading(registry_copy), "quickstart") == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("batch_size = 64", "batch_size = 32"),
        ("fine_tune_epochs = 10", "fine_tune_epochs = 11"),
        ('dataset = "digits"', 'dataset = "digits:1,8"'),
        ("learning_rate = 0.05", "learning_rate = 0.051"),
        ('architectures = ["lenet_300_100"]', 'architectures = ["lenet_300_100:activation=swish"]'),
    ],
)
def test_what_is_trained_changes_every_key(registry_copy, old, new):
    path = registry_copy / "tracks" / "quickstart.toml"
    before = set(keys(reading(registry_copy), "quickstart").values())
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert not before & set(keys(reading(registry_copy), "quickstart").values())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("white = 16", "white = 255"),
        ("train_size = 1437", "train_size = 1400"),
        ("test_size = 360", "test_size = 397"),
        ('name = "digits"', 'name = "digits"\nlabel_column = "written"'),
        ('name = "digits"', 'name = "digits"\nrevision = "2"'),
    ],
)
def test_what_a_data_set_of_ones_own_says_of_its_images_is_in_its_keys(registry_copy, old, new):
    path = registry_copy / "datasets" / "digits.toml"
    own = path.read_text().replace('packaged = "sklearn:load_digits"', "")
    path.write_text(own)
    before = set(keys(reading(registry_copy), "quickstart").values())
    path.write_text(own.replace(old, new))
    assert not before & set(keys(reading(registry_copy), "quickstart").values())


def test_more_seeds_than_a_track_has_are_its_own():
    assert len(Registry().select(["quickstart"], 99)) == len(Registry().select(["quickstart"]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("epsilon = 0.5", "epsilon = 0.6"),
        ("test_examples = 360", "test_examples = 300"),
        ("seeds = 3", "seeds = 5"),
        ("title = ", 'notes = "other words"\ntitle = '),
    ],
)
def test_what_is_only_measured_or_said_changes_no_key(registry_copy, old, new):
    path = registry_copy / "tracks" / "quickstart.toml"
    before = keys(reading(registry_copy), "quickstart")
    text = path.read_text()
    if new.startswith("notes"):
        text = text[: text.index("notes = ")] + text[text.index("[recipe]") :]
    path.write_text(text.replace(old, new, 1))
    assert keys(reading(registry_copy), "quickstart") == before


def test_at_lambda_zero_all_methods_share_one_control(registry_copy):
    path = registry_copy / "tracks" / "quickstart.toml"
    path.write_text(path.read_text().replace("[0.01, 0.1, 0.4]", "[0.0, 0.1, 0.4]"))
    found = keys(reading(registry_copy), "quickstart")
    assert len({key for id, key in found.items() if id.endswith("/0")}) == 1


def test_a_parameter_at_its_default_is_the_same_trial():
    registry = Registry()
    track = registry.track("quickstart")
    entry = registry.entries("quickstart")[-1]
    plain = registry.trial(entry.model_copy(update={"regularizer": "jacobian"}), track, 0)
    estimated = registry.trial(
        entry.model_copy(update={"regularizer": "jacobian:projections=1"}), track, 0
    )
    assert plain.params == {}
    assert estimated.params == {"projections": 1}
    assert plain.key != estimated.key


def test_a_reference_is_shared_by_all_methods_and_has_no_reference_itself():
    references = {
        trial.reference.key for _, trial in Registry().select(["quickstart"], 1) if trial.reference
    }
    assert len(references) == 1
    trial = next(trial for _, trial in Registry().select(["quickstart"], 1))
    assert isinstance(trial.reference, Trial)
    assert trial.reference.reference is None


def test_a_trial_survives_json():
    trial = next(trial for _, trial in Registry().select(["quickstart"], 1))
    assert Trial.model_validate_json(trial.model_dump_json(by_alias=True)).key == trial.key


def test_a_copy_takes_no_cached_property_along():
    _, trial = Registry().select(["quickstart"])[0]
    before = trial.key
    assert trial.model_copy(update={"seed": 99}).key != before == trial.key
