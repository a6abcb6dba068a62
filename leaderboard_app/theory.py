"""The curves of Guo et al.'s Figures 1 and 3 for two classes, as functions of p_y and ν = ‖v_+ −
v_−‖₂.
"""

from __future__ import annotations

import numpy as np


def quadratic_distance(p: np.ndarray, nu: float) -> np.ndarray:
    """‖r*‖₂ of the loss's quadratic model (Guo et al. 2020, Prop. 3.1), input units: no robustness
    guarantee.

    Args:
        p: p_y in (0.5, 1).
    """
    xi = np.log(2) + np.log(p)
    return (np.sqrt(1 + 2 * p * xi / (1 - p)) - 1) / (p * nu)


def exact_distance(p: np.ndarray, nu: float) -> np.ndarray:
    """log(p/(1−p))/ν: the distance to the boundary inside the input's ReLU cell, input units."""
    return np.log(p / (1 - p)) / nu


def penalty_weights(p: np.ndarray) -> dict[str, np.ndarray]:
    """What multiplies ν² in each penalty at confidence p_y: Figure 3 (Jacobian and cross-Lipschitz
    do not see p).
    """
    return {
        "cross_lipschitz": np.full_like(p, 0.5),
        "input_gradient": (1 - p) ** 2,
        "curvature": p * (1 - p),
    }
