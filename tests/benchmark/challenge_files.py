"""Challenges against one trial of quickstart, whose registered rows they lower."""

import warnings
from pathlib import Path

import torch
from safetensors.torch import save_file

import benchmark
from benchmark.records import registered, rows
from benchmark.records.home import TrialFolder
from benchmark.trials.run import run_trial
from registry.load import Registry
from registry.places import HERE

with warnings.catch_warnings():
    # Foolbox imports SciPy's filter by its former name.
    warnings.filterwarnings("ignore", "Please import `gaussian_filter`", DeprecationWarning)
    import foolbox

METHOD, EPSILON = "jacobian", 0.1
TOML = """\
author = "{author}"
track = "quickstart"
entry = "{entry}"
seed = 0
key = "{key}"
threat = {{ norm = "inf", epsilon = {epsilon} }}
"""


def challenged():
    """The trial of seed 0 at the λ that the registered rows select."""
    (found,) = Registry().select([f"digits/lenet_300_100/{METHOD}/0.01"], seeds=1)
    return found[1]


def registered_rows(folder: Path, home: Path | None = None) -> Path:
    """A folder of registered results, of quickstart alone and of its quick tier: the others leave
    nothing to be found.

    home: where the challenged trial has run: its row is that one, as another processor's weights
    are not those of the row that the repository brings.
    """
    folder.mkdir()
    found = Registry().select(["quickstart"])
    quick = {part.name for _, trial in found for part in trial.evaluation}
    kept = {}
    for row in registered.outcomes(HERE / "results" / "quickstart.jsonl"):
        without = {
            table: tuple(one for one in getattr(row, table) if one.threat in quick)
            for table in ("scores", "examples")
        }
        kept[row.key] = row.model_copy(update=without)
    if home is not None:
        kept[challenged().key] = TrialFolder(home, challenged().key).sound_outcome()
    rows.write(folder / "quickstart.jsonl", kept.values())
    return folder


def with_provenance(folder: Path, target: Path, chosen, **facts) -> None:
    """Writes the rows to `target`, and into the provenance of those that are chosen `facts`."""
    changed = [
        row.model_copy(update={"provenance": row.provenance | facts}) if chosen(row) else row
        for row in registered.outcomes(folder / "quickstart.jsonl")
    ]
    rows.write(target / "quickstart.jsonl", changed)


def train(home: Path) -> Path:
    """Its weights and its row in a home."""
    trial = challenged()
    assert trial.reference is not None
    run_trial(trial.reference.model_copy(update={"evaluation": ()}), home)
    run_trial(trial, home)
    return home


def broken(steps=100):
    """Places and images by which Foolbox's PGD breaks what the model gets right, for
    `$REGBENCH_HOME`'s weights.
    """
    model = benchmark.load_model(f"quickstart/lenet_300_100/{METHOD}/0.01", seed=0)
    x, y = benchmark.load_images("digits")
    torch.manual_seed(0)
    attacked = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    pgd = foolbox.attacks.LinfPGD(steps=steps, rel_stepsize=0.05)
    _, images, fell = pgd(attacked, x, y, epsilons=EPSILON)
    with torch.no_grad():
        right = model(x).argmax(1) == y
    places = torch.nonzero(fell & right)[:, 0]
    return places, images[places]


def write(folder: Path, places, images, author="Ada", **fields) -> Path:
    """A challenge's folder; `fields` differ from those of `challenged`."""
    trial = challenged()
    folder.mkdir(parents=True)
    said = {"entry": trial.entry.id, "key": trial.key, "epsilon": EPSILON} | fields
    (folder / "challenge.toml").write_text(TOML.format(author=author, **said))
    save_file({"indices": places, "images": images}, folder / "adversarial.safetensors")
    return folder
