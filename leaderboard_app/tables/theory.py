"""The curves of Guo et al.'s Figures 1 and 3 for two classes, as functions of p_y and ν = ‖v_+ −
v_−‖₂, and
what perturbations meet in the network linearised at an image."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchmark.ranking.sweep import half_width

from ..figures.distributions import Line

STEEPEST = 36.0  # log-odds beyond which p_y is 1 to the last bit
EVERY = np.linspace(0.0, 1.0, 301)  # confidences, for curves over all of them
MEASURED = ["key", "probability", "log_odds", "nu", "distance", "input_gradient", "curvature"]
NUS = [1.0, 2.0, 4.0]  # where nothing is measured

NOTHING = pd.DataFrame()
# The margin's curvature: column → the measure's name, and how it is written.
CURVATURES = {
    "norm": ("margin_hessian_norm", "‖H‖₂"),
    "along": ("hessian_along_gradient", "‖H·g/‖g‖‖₂"),
}


def by_curvature(table: pd.DataFrame) -> pd.DataFrame:
    """One row an image and quantity of CURVATURES, for densities: columns key, image, quantity and
    value.
    """
    found = table.melt(["key", "image"], list(CURVATURES), "quantity", "value")
    return found.astype({"value": float})


def curvature_lines(colours: Sequence[str]) -> dict[str, Line]:
    """How each of CURVATURES is drawn."""
    named = zip(CURVATURES.items(), colours, ("solid", "dash"))
    return {column: Line(said, colour, dash) for (column, (_, said)), colour, dash in named}


def no_points() -> pd.DataFrame:
    """`points` of no image."""
    return pd.DataFrame(columns=MEASURED)


def points(measured: pd.DataFrame) -> pd.DataFrame:
    """The images at which ν > 0 with nu, input_gradient (‖∇‖²/ν²) and curvature (‖H‖₂/ν²): what
    the curves are held against.

    Args:
        measured: one row an image of a model of two classes: cross (Ω = ν²/2), gradient (‖∇‖),
            hessian (‖H‖₂) and others, which stay.
    """
    cross = measured["cross"].astype(float)
    mine = measured[np.isfinite(cross) & (cross > 0)]
    nu = np.sqrt(2 * mine["cross"].astype(float))
    return mine.assign(
        nu=nu,
        input_gradient=mine["gradient"].astype(float) ** 2 / nu**2,
        curvature=mine["hessian"].astype(float) / nu**2,
    )


def typical(points: pd.DataFrame) -> list[float]:
    """The ν that curves are drawn for: the points' quantiles at 10, 50 and 90 %."""
    if points.empty:
        return NUS
    found = np.quantile(points["nu"], (0.1, 0.5, 0.9))
    return list(dict.fromkeys(float(f"{value:.3g}") for value in found))


def confidences(log_odds: np.ndarray) -> np.ndarray:
    """p_y in (0.5, 1) for curves that reach as far as the points do.

    Args:
        log_odds: of the points, finite or not.
    """
    finite = log_odds[np.isfinite(log_odds)]
    end = min(STEEPEST, max(10.0, 1.05 * float(finite.max(initial=0.0))))
    return 1 / (1 + np.exp(-np.linspace(0.01, end, 300)))


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


# What a perturbation z meets: quantity → what it is called, and how it is written.
QUANTITIES = {
    "alignment": ("Alignment with v₁", "|cos(z, v₁)|"),
    "relative_deviation": ("Deviation from linearity", "Deviation / change of features"),
    "stretch": ("Steepness at x + z", "σ₁(x + z) / σ₁(x)"),
    "shared": ("Shared ReLU activations", "Share of the activations"),
}


def perturbed(rows: pd.DataFrame) -> pd.DataFrame:
    """What perturbations of each length meet, over all of a method's rows: columns method,
    quantity (of QUANTITIES), kind ("PGD" or "random"), radius (ℓ2, input units), mean over seeds,
    half_width and seeds.

    Args:
        rows: as `benchmark.ranking.sweep.labelled` gives them, of one architecture.
    """
    mine = rows[
        (rows["status"] == "finished") & (rows["threat"] == "perturbed") & (rows["split"] == "test")
    ]
    found = [re.fullmatch(r"(random_)?([a-z_]+?)_([0-9.]+)", metric) for metric in mine["metric"]]
    mine = mine.assign(
        method=mine["regularizer"],
        kind=["random" if match and match[1] else "PGD" for match in found],
        quantity=[match[2] if match else "" for match in found],
        radius=[float(match[3]) if match else math.nan for match in found],
    )
    mine = mine[mine["quantity"].isin(list(QUANTITIES)) & np.isfinite(mine["value"].astype(float))]
    grouped = mine.groupby(["method", "quantity", "kind", "radius"])["value"]
    return grouped.agg(mean="mean", half_width=half_width, seeds="count").reset_index()
