"""Margins and probabilities against Python's own arithmetic."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.measures import margins

rows = st.integers(2, 6).flatmap(
    lambda K: st.tuples(st.lists(st.floats(-30, 30), min_size=K, max_size=K), st.integers(0, K - 1))
)


@given(rows)
def test_margins_and_probabilities_follow_their_definitions(row):
    z, y = row
    logits, label = torch.tensor([z], dtype=torch.float64), torch.tensor([y])
    total = math.fsum(map(math.exp, z))
    others = [value for j, value in enumerate(z) if j != y]
    rest = math.fsum(map(math.exp, others))
    assert margins.margin(logits, label).item() == pytest.approx(z[y] - max(others), abs=1e-12)
    assert margins.log_odds(logits, label).item() == pytest.approx(z[y] - math.log(rest), abs=1e-12)
    assert margins.probability(logits, label).item() == pytest.approx(
        math.exp(z[y]) / total, rel=1e-12
    )
    assert margins.probability_of_others(logits, label).item() == pytest.approx(
        rest / total, rel=1e-12
    )
    assert margins.loss(logits, label).item() == pytest.approx(
        math.log1p(rest / math.exp(z[y])), rel=1e-12
    )
    assert margins.probability_margin(logits, label).item() == pytest.approx(
        (math.exp(z[y]) - math.exp(max(others))) / total, abs=1e-12
    )


def test_loss_and_the_others_probability_do_not_vanish_at_a_margin_of_40_in_float32():
    logits, y = torch.tensor([[40.0, 0.0, -100.0]]), torch.tensor([0])
    assert margins.loss(logits, y).item() == pytest.approx(math.exp(-40), rel=1e-5)
    assert margins.probability_of_others(logits, y).item() == pytest.approx(math.exp(-40), rel=1e-5)
    assert margins.loss(-logits, y).item() == pytest.approx(140)
