"""Guo et al.: µ² and Ω do the same, and curvature does more at large λ."""

from __future__ import annotations

import math

from registry.load import Registry

from .rows import EQUIVALENT, Claim, Interval, Rows, equivalent


def _agree(rows: Rows, architecture: str, of_jacobian: float) -> tuple[bool, str]:
    """`jacobian` at `of_jacobian`·λ against `cross_lipschitz` at λ, over its whole grid: robust and
    clean accuracy.
    """
    strengths = rows.strengths("cross_lipschitz")
    found, largest = 0, 0.0
    for strength in strengths:
        wanted = of_jacobian * strength
        other = next(s for s in rows.strengths("jacobian") if math.isclose(s, wanted, rel_tol=1e-9))
        robust, clean = (
            value("jacobian", other, architecture=architecture)
            - value("cross_lipschitz", strength, architecture=architecture)
            for value in (rows.robust, rows.clean)
        )
        found += equivalent(robust) and equivalent(clean)
        means = [abs(d.mean()) for d in (robust, clean) if d.notna().any()]
        largest = max([largest, *means])
    return found == len(strengths), (
        f"{architecture}: equivalent within {100 * EQUIVALENT:.0f} points (two one-sided tests) at "
        f"{found} of {len(strengths)} λ; largest mean difference {100 * largest:.2f} points"
    )


def _agree_everywhere(rows: Rows, of_jacobian: float) -> tuple[bool, str]:
    found = [_agree(rows, architecture, of_jacobian) for architecture in rows.track.architectures]
    return all(held for held, _ in found), "; ".join(text for _, text in found)


def two_classes_agree(rows: Rows) -> tuple[bool, str]:
    """µ² and Ω at equal λ."""
    return _agree_everywhere(rows, 1.0)


def many_classes_agree(rows: Rows) -> tuple[bool, str]:
    """µ² at 2λ/K and Ω at λ."""
    return _agree_everywhere(rows, 2 / Registry().dataset(rows.track.dataset).num_classes)


def curvature_at_large_lambda(rows: Rows) -> tuple[bool, str]:
    """At the largest λ at which it learns, against the best of the first-order methods."""
    found = [_curvature_leads(rows, architecture) for architecture in rows.track.architectures]
    return all(held for held, _ in found), "; ".join(text for _, text in found)


def _curvature_leads(rows: Rows, architecture: str) -> tuple[bool, str]:
    learnt = rows.learnt("curvature", architecture)
    if not learnt:
        return False, f"{architecture}: no λ of curvature reaches the clean floor"
    strength, left_out = learnt[-1], rows.left_out("curvature", architecture)
    others = {
        name: values
        for name in ("input_gradient", "jacobian", "cross_lipschitz")
        if len(values := rows.robust(name, strength, architecture))
    }
    best = max(others, key=lambda name: others[name].mean())
    lead = Interval.of(100 * (rows.robust("curvature", strength, architecture) - others[best]))
    return lead.low > 0, (
        f"{architecture}: at λ = {strength:g}{left_out} curvature leads {best} by {lead:.1f} points"
    )


CLAIMS = (
    Claim(
        "Two classes: µ² and Ω do the same at equal λ (Guo et al.)",
        "guo-fashion-binary",
        two_classes_agree,
    ),
    Claim(
        "Two classes of digits: µ² and Ω do the same at equal λ (Guo et al.)",
        "digits-binary",
        two_classes_agree,
    ),
    Claim(
        "One layer: µ² and Ω have the same minimum (Guo et al., Prop. 3.4)",
        "guo-final-layer",
        two_classes_agree,
    ),
    Claim(
        "Many classes: µ² at 2λ/K and Ω at λ do the same (Guo et al.)",
        "guo-fashion",
        many_classes_agree,
    ),
    Claim(
        "Curvature is the most robust at large λ (Guo et al.)",
        "guo-fashion-binary",
        curvature_at_large_lambda,
    ),
)
