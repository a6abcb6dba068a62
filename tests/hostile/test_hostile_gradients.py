"""A gradient that is not its penalty's is found out, and honest ones are not suspected."""

import shutil

import pytest
from torch.testing import assert_close

from benchmark.review.gradients import differences
from registry.load import Registry

from .test_hostile_training import copied, trained, trial_of

pytestmark = pytest.mark.slow

OTHER = """
import torch
class Other(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value, hidden):
        ctx.save_for_backward(hidden)
        return value.clone()
    @staticmethod
    def backward(ctx, upstream):
        return upstream * 0.5, upstream
def forged(value, step): return Other.apply(value, step.losses)
"""


# What it does where it is asked again, which it tells by the precision: as the trainer would not.
AGAIN = {
    "the same": "pass",
    "no number": "return step.losses * float('nan')",
    "a number in which nothing is resolved": "return step.losses * 0 + 1e9",
    "infinity": "return step.losses * 0 + float('inf')",
}


@pytest.mark.parametrize("case", AGAIN)
def test_a_gradient_that_is_not_its_penaltys_is_named(submission, home, case):
    folder = submission(OTHER, f"if step.x.element_size() == 8: {AGAIN[case]}")
    code = folder / "regularizer.py"
    last = "return (squared + self.epsilon).sqrt()"
    assert last in code.read_text()
    code.write_text(
        code.read_text().replace(last, "return forged((squared + self.epsilon).sqrt(), step)")
    )
    found = differences(trial_of(folder), home)
    assert found  # one of the steps asked about is enough
    assert all(line.startswith("digits/lenet_300_100/hostile/0.2 seed 0, step ") for line in found)


@pytest.mark.parametrize(
    ("method", "params"),
    [("jacobian", {"projections": 1}), ("grad_align", {}), ("cross_lipschitz", {})],
)
def test_an_honest_gradient_is_its_penaltys(submission, home, method, params):
    folder = submission()
    copied(folder, method)
    assert differences(trial_of(folder).model_copy(update={"params": params}), home) == []


# Waits until the parent has gone on, and writes another gradient over the one that it gave.
OVERWRITTEN = """
import sys, time
inside, child = sys.modules["benchmark.sandbox.answering"], sys.modules["benchmark.sandbox.child"]
step, asked, given = inside._step, child.Channel.asked, {}
def kept(regularizer, model, tensors, **request):
    given.update(tensors)
    return step(regularizer, model, tensors, **request)
def late(channel):
    if given and given["x"].element_size() == 4:
        time.sleep(0.02)
        for name in given:
            if name.startswith("gradient."): given[name].fill_(1.0)
    return asked(channel)
inside._step, child.Channel.asked = kept, late
"""


def test_the_gradient_that_was_looked_at_is_the_one_that_is_used(submission, home):
    """With BatchNorm the backward pass comes long after the answer."""
    weights = []
    for code in (OVERWRITTEN, ""):
        folder = submission(code)
        trial = trial_of(folder)
        update = {"fine_tune_epochs": 0, "fine_tune_iterations": 4}
        recipe = trial.recipe.model_copy(update=update)
        network = Registry().architecture("conv4_bn")
        trial = trial.model_copy(update={"recipe": recipe, "architecture": network})
        weights.append(trained(trial, home)[0].state_dict())
        shutil.rmtree(folder)
    for name, value in weights[1].items():
        assert_close(weights[0][name], value, rtol=1e-4, atol=1e-5)
