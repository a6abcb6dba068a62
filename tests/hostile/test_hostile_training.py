"""Code that behaves until it trains: only weights that fit come back, and the run goes on."""

from functools import partial

import pytest
import torch

from benchmark import data
from benchmark.execution import runner
from benchmark.execution.local import run_local
from benchmark.records.home import DATABASE
from benchmark.records.store import Store
from benchmark.regularizer import load_regularizer
from benchmark.sandbox import training as untrusted
from benchmark.sandbox.process import Limits, SandboxError
from benchmark.training import networks
from benchmark.training.loop import Phase, train
from registry.load import Registry
from registry.places import HERE, TEMPLATE
from registry.spec import Entry, InputError, Recipe

CASES = {
    "changes the normalisation": ("step.model.normalize.std.mul_(1e6)", "it changed normalize.std"),
    "gives back another network": (
        "step.model.state_dict = lambda: {'x': step.x}",
        "another network's",
    ),
    "forges an answer": (
        "import os, json\n"
        "for fd in range(3, 64):\n"
        '    try: os.write(fd, b\'{"done": true}\\n{"weights": true}\\nrubbish\')\n'
        "    except OSError: pass\n"
        "os._exit(0)",
        "its record of the training is not one",
    ),
}


def trial_of(folder, strength=0.2):
    registry = Registry(HERE, folder.parent, folder.name)
    track = registry.track("quickstart")
    trial = registry.trial(
        Entry(
            dataset="digits",
            architecture="lenet_300_100",
            regularizer=folder.name,
            strength=strength,
        ),
        track,
        0,
    )
    return trial.model_copy(
        update={"recipe": Recipe(batch_size=64, learning_rate=0.05, fine_tune_epochs=1)}
    )


def trained(trial, home, **options):
    images = data.load(trial.dataset, home)
    model = networks.placed(networks.create(trial.architecture, trial.dataset, seed=0), "cpu")
    phase = Phase.of(trial.recipe, "fine_tune", len(images.train))
    return model, images, phase, untrusted.train(trial, model, images.train, phase, **options)


@pytest.mark.parametrize("case", CASES)
def test_only_weights_that_fit_are_taken_back(submission, home, case):
    code, expected = CASES[case]
    with pytest.raises(SandboxError, match=expected):
        trained(trial_of(submission(in_penalty=code)), home)


def test_honest_code_trains_in_the_sandbox_to_the_same_bits_and_its_time_is_the_kernels(
    submission, home
):
    folder = submission(in_penalty="import time\ntime.process_time = lambda: 0.0")
    trial = trial_of(folder)
    inside, images, phase, training = trained(trial, home)
    outside = networks.placed(networks.create(trial.architecture, trial.dataset, seed=0), "cpu")
    (folder / "regularizer.py").write_text((TEMPLATE / "regularizer.py").read_text())
    train(
        outside, images.train, phase, seed=0, regularizer=load_regularizer(folder, {}), strength=0.2
    )
    assert all(
        torch.equal(value, outside.state_dict()[name])
        for name, value in inside.state_dict().items()
    )
    assert training.status == "finished"
    assert 0.02 < training.seconds < 30


def test_a_run_goes_on_when_a_submission_fails(submission, home):
    folder = submission("raise RuntimeError('broken')")
    registry = Registry(HERE, folder.parent, folder.name)
    home.mkdir()
    chosen = registry.select(
        ["digits/lenet_300_100/hostile/0.05", "digits/lenet_300_100/none/0"], seeds=1
    )
    store = Store(home / DATABASE)
    plan = runner.plan((trial for _, trial in chosen), store)
    outcomes = list(runner.run(plan, home, store, partial(run_local, workers=1)))
    assert [(o.regularizer, o.error) for o in outcomes if o.status == "failed"] == [
        ("hostile", "/submission/hostile/regularizer.py: cannot be imported: RuntimeError: broken")
    ]
    assert sum(o.status == "finished" for o in outcomes) == 2
    assert store.query("SELECT count(*) AS n FROM trial")["n"].tolist() == [2]


def test_without_a_sandbox_submitted_code_is_refused(submission, home, monkeypatch):
    trial = trial_of(submission())
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match=r"bubblewrap is not installed.*give --trust"):
        trained(trial, home, limits=Limits(wall_seconds=1))
