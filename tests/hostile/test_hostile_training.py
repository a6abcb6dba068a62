"""Code that behaves until it trains: only weights that fit come back, and the run goes on."""

import re
from functools import partial

import pytest
from torch.testing import assert_close

from benchmark import data
from benchmark.execution import runner
from benchmark.execution.afterwards import to_certify
from benchmark.execution.local import run_local
from benchmark.records.home import DATABASE
from benchmark.records.store import Store
from benchmark.regularizer import load_regularizer
from benchmark.sandbox import training as untrusted
from benchmark.sandbox.process import Limits, SandboxError
from benchmark.training import networks
from benchmark.training.loop import Phase, train
from benchmark.trials.run import run_trial
from registry.load import Registry
from registry.places import HERE
from registry.spec import Entry, InputError, Recipe

pytestmark = pytest.mark.slow

# Writes a line into every socket and pipe that the child has, as if it were the answer.
FORGE = """
import os
for fd in range(3, 64):
    try: os.write(fd, {line})
    except OSError: pass
{then}
"""
FORGED = {
    "a state larger than the memory": (
        b'{"answer": {"decomposed": true, "images": false, "state": 1099511627776}}\n',
        "says that its state is larger than the memory",
    ),
    "a negative size": (
        b'{"answer": {"decomposed": true, "images": false, "state": -1}}\n',
        "what it answered is no answer",
    ),
    "a number that is none": (
        b'{"answer": {"decomposed": true, "images": false, "state": NaN}}\n',
        "what it answered is no answer",
    ),
    "a record of a training": (
        b'{"answer": {"decomposed": true, "images": false, "state": 0, "epochs": [1e99]}}\n',
        "what it answered is no answer",
    ),
    "no answer": (b'[1]\n"x"\n{"answer": 1}\n', "what it answered is no answer"),
    "control characters and markup": (
        b'{"error": "\\ud800\\u001b[2J\\nsecond line\\u202e"}\n',
        r"^\[2J second line$",
    ),
    # As an expression: no file of a submission is as long as its value.
    "a megabyte": (r'(b"x" * 2**20 + b"\n")', "answered more than its limit of 1 MiB"),
}
THE_END = (b"rubbish\n", "ended with exit code 0 before its task was done")


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


@pytest.mark.parametrize("case", [*FORGED, "the end"])
def test_a_forged_answer_ends_the_trial_in_one_line(submission, home, case):
    line, expected = FORGED.get(case, THE_END)
    then = "os._exit(0)" if case == "the end" else "import time\ntime.sleep(1000)"
    with pytest.raises(SandboxError) as refused:
        trained(trial_of(submission(in_penalty=FORGE.format(line=line, then=then))), home)
    told = str(refused.value)
    assert re.search(expected, told) and told.isprintable()


def copied(folder, method):
    """A registered method's code as the submission's."""
    code = HERE / "regularizers" / method / "regularizer.py"
    (folder / "regularizer.py").write_bytes(code.read_bytes())


METHODS = {  # with the steps over which rounding stays small
    "by noise": ("jacobian", {"projections": 1}, "lenet_300_100", 8),
    "by state and noise": ("global_spectral_norm", {}, "lenet_300_100", 8),
    "by its images": ("adversarial_training", {"steps": 2}, "lenet_300_100", 8),
    "by images and penalty": ("grad_align", {}, "lenet_5", 8),
    "beside BatchNorm": ("input_gradient", {}, "conv4_bn", 1),
}


@pytest.mark.parametrize("case", METHODS)
def test_honest_code_in_the_sandbox_trains_to_the_weights_of_the_trainer_alone(
    submission, home, case
):
    method, params, architecture, steps = METHODS[case]
    folder = submission()
    copied(folder, method)
    trial = trial_of(folder)
    trial = trial.model_copy(
        update={
            "params": params,
            "architecture": Registry().architecture(architecture),
            "recipe": trial.recipe.model_copy(
                update={"fine_tune_epochs": 0, "fine_tune_iterations": steps, "learning_rate": 0.01}
            ),
        }
    )
    inside, images, phase, training = trained(trial, home)
    outside = networks.placed(networks.create(trial.architecture, trial.dataset, seed=0), "cpu")
    alone = train(
        outside,
        images.train,
        phase,
        seed=0,
        regularizer=load_regularizer(folder, params),
        strength=0.2,
    )
    for name, value in outside.state_dict().items():
        assert_close(inside.state_dict()[name], value, rtol=1e-3, atol=2e-5)
    assert (training.status, training.flags) == ("finished", ())
    assert training.epochs[-1].loss == pytest.approx(alone.epochs[-1].loss, rel=1e-4)
    assert training.epochs[-1].penalty == pytest.approx(alone.epochs[-1].penalty, rel=1e-3)
    assert training.state.keys() == alone.state.keys()


def test_a_child_that_lies_of_its_time_and_rewrites_its_weights_changes_neither(submission, home):
    hidden = """
import time, torch
time.process_time = lambda: 0.0
with torch.no_grad():
    for p in step.parameters.values(): p.zero_()
    step.model.normalize.std.mul_(1e6)
return step.losses * 0
"""
    trial = trial_of(submission(in_penalty=hidden))
    model, images, phase, training = trained(trial, home)
    control = networks.placed(networks.create(trial.architecture, trial.dataset, seed=0), "cpu")
    train(control, images.train, phase, seed=0)
    for name, value in control.state_dict().items():
        assert_close(model.state_dict()[name], value, rtol=1e-4, atol=1e-6)
    assert training.flags == ()
    assert 0.02 < training.seconds < 30


def test_a_child_that_does_not_end_cannot_hide_its_time(submission, home):
    trial = trial_of(submission("import os, time\nos._exit = lambda code: time.sleep(1e6)"))
    with pytest.raises(SandboxError, match="did not end when it was asked to"):
        trained(trial, home)


def test_code_that_changes_while_a_run_goes_on_is_not_taken_for_what_it_was(submission, home):
    folder = submission()
    trial = trial_of(folder).model_copy(update={"evaluation": ()})
    code = folder / "regularizer.py"
    code.write_text(code.read_text() + "# changed\n")
    for how in (trial, trial.model_copy(update={"sandboxed": False})):
        outcome = run_trial(how, home)
        assert outcome.status == "failed"
        assert "regularizer.py: has changed since the run began; run again" in outcome.error


def test_a_certificate_of_damaged_weights_is_no_way_out_of_the_sandbox(submission, home, tmp_path):
    marker = tmp_path / "escaped"
    escape = f"try: open({str(marker)!r}, 'a').write('out')\nexcept OSError: pass"
    folder = submission(escape)
    registry = Registry(HERE, folder.parent, folder.name)
    home.mkdir()
    ((track, trial),) = registry.select(["quickstart/lenet_300_100/hostile/0.05"], seeds=1)
    recipe = trial.recipe.model_copy(update={"fine_tune_epochs": 1, "reference_epochs": 1})
    clean = tuple(part for part in trial.evaluation if part.name == "clean")
    trial = trial.model_copy(update={"recipe": recipe, "evaluation": clean})
    store = Store(home / DATABASE)

    def follow(plan):
        return list(runner.run(plan, home, store, partial(run_local, workers=1)))

    assert [o.status for o in follow(runner.plan([trial], store))] == ["finished"] * 2
    weights = home / trial.key / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    outcomes = follow(to_certify([(track, trial)], home, store))
    assert [o.status for o in outcomes] == ["finished"]
    assert not marker.exists()


def test_a_gradient_that_cancels_the_losses_leaves_a_training_that_is_flagged_untrained(
    submission, home
):
    trial = trial_of(submission(in_penalty="return -step.losses / step.strength"))
    *_, training = trained(trial, home)
    assert (training.status, training.flags) == ("finished", ("untrained",))


def test_weights_that_a_submission_has_rewritten_are_marked_and_the_method_is_never_ranked(
    submission, home
):
    folder = submission()
    code = folder / "regularizer.py"
    code.write_text(
        code.read_text()
        + """
    def after_epoch(self, model, strength):
        for p in model.parameters(): p.data = p.data * 0.5
"""
    )
    trial = trial_of(folder)
    part = next(part for part in trial.evaluation if part.name == "clean")
    outcome = run_trial(trial.model_copy(update={"evaluation": (part,)}), home)
    assert [(s.metric, s.flags) for s in outcome.scores if s.threat == "training"] == [
        ("trained_by_submission", ("trained_by_submission",))
    ]


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
