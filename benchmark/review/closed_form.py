"""A penalty on a linear model in closed form, as a card may state it: a small language of arrays,
evaluated without eval.

On z = Wx + b an expression knows `W` [K, D], `b` [K], `x` [B, D], the logits `z`, probabilities `p`
and one-hot labels `e` [B, K], the cross-entropy `loss` [B], the sizes `K` and `D`, and the method's
params. It gives [B] or one number:

    sum(W**2)                                   the Jacobian penalty
    sum(((p - e) @ W)**2, -1)                   the input-gradient penalty
    spectral(transpose(W) @ (diag(p) - outer(p, p)) @ W)     the curvature penalty
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.MatMult: operator.matmul,
    ast.USub: operator.neg,
}


def _transpose(a: np.ndarray) -> np.ndarray:
    return np.swapaxes(a, -1, -2)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sum": np.sum,
    "mean": np.mean,
    "max": np.max,
    "min": np.min,  # of everything, or along an axis
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "abs": np.abs,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "transpose": _transpose,
    "diag": lambda a: a[..., None] * np.eye(a.shape[-1]),
    "outer": lambda a, b: a[..., :, None] * b[..., None, :],
    "norm": lambda a: np.linalg.norm(a, axis=-1),  # ℓ2, along the last axis
    "spectral": lambda a: np.linalg.svd(a, compute_uv=False)[..., 0],
}


def evaluate(
    expression: str,
    W: np.ndarray,
    b: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    params: Mapping[str, Any],
) -> np.ndarray:
    """The expression's value on the model z = Wx + b.

    Further functions of [B, K] arrays: `others(a)` [B, K−1] leaves out y's column, and `margins()`,
    `distances()` [B, K] are z_y − z_k and ‖w_y − w_k‖₂.

    Args:
        W, b: [K, D] and [K].
        x, y: [B, D] and class indices [B].
    Returns:
        [B].
    Raises:
        ValueError: the expression is none, names something unknown, or does not give [B] or a
            number.
    """
    (K, D), B = W.shape, len(y)
    z = x @ W.T + b
    stable = np.exp(z - z.max(1, keepdims=True))
    p = stable / stable.sum(1, keepdims=True)
    e = np.eye(K)[y]
    names = {
        "W": W,
        "b": b,
        "x": x,
        "z": z,
        "p": p,
        "e": e,
        "loss": -np.log(p[np.arange(B), y]),
        "K": K,
        "D": D,
        **params,
    }
    functions = FUNCTIONS | {
        "others": lambda a: a[e == 0].reshape(B, K - 1),
        "margins": lambda: z[np.arange(B), y][:, None] - z,
        "distances": lambda: np.linalg.norm(W[y][:, None] - W, axis=-1),
    }

    def value(node: ast.AST) -> Any:
        match node:
            case ast.Constant(value=int() | float() as number):
                return number
            case ast.Name(id=name) if name in names:
                return names[name]
            case ast.UnaryOp(op=op, operand=operand) if type(op) in OPERATORS:
                return OPERATORS[type(op)](value(operand))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
                return OPERATORS[type(op)](value(left), value(right))
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in functions:
                return functions[name](*map(value, arguments))
        raise ValueError(
            f"{ast.unparse(node)!r} is nothing that a closed form knows; known are "
            f"{', '.join([*names, *functions])} and + - * / ** @"
        )

    try:
        tree = ast.parse(expression, mode="eval")
    except SyntaxError as error:
        raise ValueError(f"{expression!r} is no expression: {error.msg}") from None
    try:
        found = np.asarray(value(tree.body), dtype=float)
    except (TypeError, IndexError, np.linalg.LinAlgError) as error:
        raise ValueError(f"{expression!r} cannot be computed: {error}") from None
    if found.shape not in ((B,), ()):
        raise ValueError(
            f"{expression!r} gives the shape {list(found.shape)}, not one value an example"
        )
    return np.broadcast_to(found, (B,))
