"""Guo et al., Prop. 3.4: penalising µ² or ν²/2 has the same optimum on a linear model; with more
classes Ω has not.
"""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from benchmark.measures.jacobian import cross_lipschitz, gram, lipschitz


def data(K: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(K)
    centres = torch.randn(K, 6, dtype=torch.float64, generator=generator)
    y = torch.arange(60) % K
    return centres[y] + torch.randn(60, 6, dtype=torch.float64, generator=generator), y


def minimise(K: int, strength: float, penalty) -> tuple[float, Tensor]:
    """Optimal value and weights [K, 6] of E[L] + λ·penalty(G) without bias, by L-BFGS from a random
    start.
    """
    x, y = data(K)
    W = torch.randn(
        K, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(99)
    ).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [W],
        lr=1,
        max_iter=2000,
        tolerance_grad=1e-12,
        tolerance_change=1e-16,
        history_size=30,
        line_search_fn="strong_wolfe",
    )

    def objective() -> Tensor:
        return torch.nn.functional.cross_entropy(x @ W.T, y) + strength * penalty(gram(W[None]))[0]

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = objective()
        value.backward()
        return value

    optimizer.step(closure)
    closure()
    assert W.grad is not None
    assert W.grad.abs().max() < 1e-8  # converged
    return objective().item(), W.detach()


def squared_lipschitz(G: Tensor) -> Tensor:
    return lipschitz(G).square()


@pytest.mark.parametrize("strength", [1e-3, 0.01, 0.1, 1.0])
def test_binary_optima_under_both_penalties_agree(strength):
    value_mu, W_mu = minimise(2, strength, squared_lipschitz)
    value_nu, W_nu = minimise(2, strength, cross_lipschitz)
    assert value_mu == pytest.approx(value_nu, abs=1e-6)
    assert_close(W_mu[1] - W_mu[0], W_nu[1] - W_nu[0], rtol=0, atol=1e-6)
    assert_close(W_mu[0] + W_mu[1], torch.zeros(6, dtype=torch.float64), rtol=0, atol=1e-6)
    # The argmin sets differ: the ν-penalty does not see what is added to both columns.
    assert (W_nu[0] + W_nu[1]).norm() > 0.1


def test_what_cross_lipschitz_ignores_of_the_squared_norm_is_the_sum_of_the_columns():
    V = torch.randn(7, 5, 6, dtype=torch.float64)
    G = gram(V)
    assert_close(squared_lipschitz(G), 5 / 2 * cross_lipschitz(G) + V.sum(1).square().sum(1) / 5)
