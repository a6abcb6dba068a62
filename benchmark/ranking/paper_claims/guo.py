"""Guo et al.: µ² and Ω do the same, and curvature does more at large λ."""

from __future__ import annotations

import math
from collections.abc import Iterable

from registry.load import Registry

from ..verdict import Question, verdict
from .rows import EQUIVALENT, Asked, Claim, Interval, Rows


def _agree(rows: Rows, architecture: str, of_jacobian: float) -> Asked:
    """`jacobian` at `of_jacobian`·λ against `cross_lipschitz` at λ, over its whole grid: robust and
    clean accuracy.
    """
    strengths = rows.strengths("cross_lipschitz")
    questions: list[Question] = []
    for strength in strengths:
        wanted = of_jacobian * strength
        other = next(s for s in rows.strengths("jacobian") if math.isclose(s, wanted, rel_tol=1e-9))
        for value in (rows.robust, rows.clean):
            first = value("jacobian", other, architecture=architecture)
            second = value("cross_lipschitz", strength, architecture=architecture)
            questions.append(Question(first - second, EQUIVALENT))
    shown = [answer.word == "shown" for answer in verdict(questions).answers]
    both = sum(map(min, shown[::2], shown[1::2]))
    largest = max(abs(question.differences.mean()) for question in questions)
    return questions, (
        f"{architecture}: clean accuracy and {rows.track.headline} are equivalent within "
        f"{100 * EQUIVALENT:.0f} points (two one-sided tests) at {both} of {len(strengths)} λ; "
        f"largest mean difference {100 * largest:.2f} points"
    )


def _everywhere(found: Iterable[Asked]) -> Asked:
    """What is asked of each architecture, as one claim."""
    asked = list(found)
    questions = [question for questions, _ in asked for question in questions]
    decidable = all(questions for questions, _ in asked)
    return questions if decidable else [], "; ".join(text for _, text in asked)


def two_classes_agree(rows: Rows) -> Asked:
    """µ² and Ω at equal λ."""
    return _everywhere(_agree(rows, name, 1.0) for name in rows.architectures)


def many_classes_agree(rows: Rows) -> Asked:
    """µ² at 2λ/K and Ω at λ."""
    share = 2 / Registry().dataset(rows.track.dataset).num_classes
    return _everywhere(_agree(rows, name, share) for name in rows.architectures)


def curvature_at_large_lambda(rows: Rows) -> Asked:
    """At the largest λ at which it learns, against each first-order method."""
    return _everywhere(_curvature_leads(rows, name) for name in rows.architectures)


def _curvature_leads(rows: Rows, architecture: str) -> Asked:
    learnt = rows.learnt("curvature", architecture)
    if not learnt:
        return [], f"{architecture}: no λ of curvature reaches the clean floor"
    strength, left_out = learnt[-1], rows.left_out("curvature", architecture)
    others = {
        name: values
        for name in ("input_gradient", "jacobian", "cross_lipschitz")
        if len(values := rows.robust(name, strength, architecture))
    }
    curvature = rows.robust("curvature", strength, architecture)
    leads = {name: curvature - values for name, values in others.items()}
    told = [f"{name} by {Interval.of(100 * lead):.1f}" for name, lead in leads.items()]
    return [Question(lead) for lead in leads.values()], (
        f"{architecture}: at λ = {strength:g}{left_out} curvature leads {', '.join(told)} points"
    )


CLAIMS = (
    Claim(
        "Two classes of MNIST: µ² and Ω do the same at equal λ (Guo et al.)",
        "guo-binary-mnist",
        two_classes_agree,
    ),
    Claim(
        "Two classes of Fashion-MNIST: µ² and Ω do the same at equal λ (Guo et al.)",
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
        "MNIST: curvature is the most robust at large λ (Guo et al.)",
        "guo-binary-mnist",
        curvature_at_large_lambda,
    ),
    Claim(
        "Fashion-MNIST: curvature is the most robust at large λ (Guo et al.)",
        "guo-fashion-binary",
        curvature_at_large_lambda,
    ),
)
