"""How a demand that is not kept is told, in one line."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn
from torch.testing import assert_close

from .specimen import Subject, gradients, losses_and_penalty, step_of


class Unfit(Exception):
    """A demand that is not kept. The message is one line."""


def require(kept: bool, otherwise: str) -> None:
    """Raises Unfit."""
    if not kept:
        raise Unfit(otherwise)


def close(one: Tensor, other: Tensor, rtol: float, atol: float, otherwise: str) -> None:
    """Raises Unfit where two tensors differ beyond the tolerances."""
    try:
        assert_close(one, other, rtol=rtol, atol=atol)
    except AssertionError as error:
        raise Unfit(f"{otherwise} ({' '.join(str(error).split())[:160]})") from None


def finite_gradient(
    subject: Subject, model: nn.Module, x: Tensor, y: Tensor, where: str
) -> tuple[Tensor, ...]:
    """Of loss and penalty, by the model's parameters. Raises Unfit where it is not finite."""
    losses, penalty = losses_and_penalty(subject.load(), step_of(subject, model, x, y))
    require(bool(penalty.isfinite().all()), f"the penalty is not finite {where}")
    found = gradients(losses.mean() + penalty.mean(), model)
    require_finite(found, f"the penalty's gradient is not finite {where}")
    return found


def require_finite(tensors: Iterable[Tensor], otherwise: str) -> None:
    """Raises Unfit where one holds what is no number."""
    require(all(bool(tensor.isfinite().all()) for tensor in tensors), otherwise)
