"""A gradient that is not its penalty's is found out, and honest ones are not suspected."""

import pytest

from benchmark.review.gradients import differences

from .test_hostile_training import copied, trial_of

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


def test_a_gradient_that_is_not_its_penaltys_is_named(submission, home):
    folder = submission(OTHER)
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
