"""Can the attacks on a model be believed? What is checked, from which value on it is flagged, and
checks of scores.

A check gives a number; above its limit it raises the flag of the same name, which is stored with
the score and keeps the method out of the ranking. The symptoms are those of Athalye et al. 2018,
section 3.1, and Carlini et al. 2019. The checks that run the model are in
`benchmark.evaluation.honesty`; nothing here loads torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from registry.spec import Part


@dataclass(frozen=True)
class Check:
    """A value above `limit` raises the flag; `words` says so, with the value in percent."""

    limit: float
    words: str

    def tell(self, value: float) -> str:
        return self.words.format(percent=f"{100 * value:.3g} %")


CHECKS = {
    "non_finite_logits": Check(0, "logits are not finite on {percent} of the examples"),
    "randomised": Check(1e-4, "logits differ by {percent} between two passes"),
    "vanishing_gradients": Check(0.1, "input gradients vanish on {percent} of the examples"),
    "loss_does_not_rise": Check(0.1, "PGD does not raise the loss on {percent} of the examples"),
    # 0.2 points count on a whole test set (AutoAttack's own check); of HONESTY_EXAMPLES one image
    # is more than that
    "black_box_stronger": Check(
        0.01, "a black-box attack breaks {percent} of the examples more than PGD"
    ),
    "accurate_at_huge_epsilon": Check(0, "accuracy under PGD at ε = 1 is {percent} above chance"),
    "below_linearised_distance": Check(
        0.02, "on {percent} of the examples the boundary is nearer than the gradients allow"
    ),
    # of PGD's own chance: an image or two in a hundred may stand at the larger ε
    "rises_with_epsilon": Check(0.01, "robust accuracy rises by {percent} as ε grows"),
    "robust_above_clean": Check(0, "robust accuracy is {percent} above clean accuracy"),
    "transfer_stronger": Check(
        0.01, "other models' adversarial images break {percent} more than any attack on its own"
    ),
    # found by the database, see contradictions.sql
    "certified_and_broken": Check(0, "{percent} of the images are certified and yet broken"),
    "untrained": Check(0, "the training left the weights as they were"),
    "trained_by_submission": Check(0, "the submission itself changed weights after an epoch"),
    "autoattack_randomized": Check(0, "AutoAttack takes the model for randomised"),
    "autoattack_probabilities": Check(
        0, "AutoAttack takes the outputs for probabilities, not logits"
    ),
    "autoattack_zero_gradients": Check(
        0.1, "AutoAttack finds zero gradients on {percent} of a batch"
    ),
    "autoattack_square_helped": Check(
        0.002, "AutoAttack's Square breaks {percent} that its white-box attacks leave"
    ),
    "autoattack_dynamic": Check(0, "AutoAttack sees a model that differentiates as it answers"),
    "autoattack_classes": Check(
        0, "AutoAttack says that its losses do not fit the number of classes"
    ),
    "autoattack_other": Check(0, "AutoAttack warned of something else"),
}


def flags_of(check: str, value: float) -> tuple[str, ...]:
    """The flag that a check's value raises: (check,) or ()."""
    return (check,) if value > CHECKS[check].limit else ()


def check_scores(
    parts: Iterable[Part], accuracy: Mapping[tuple[str, str, int], float]
) -> dict[str, float]:
    """The checks that compare one model's scores with each other: name → value, where there is
    something to compare.

    Only accuracies on the same images are compared. An attack of a single step is left out of
    "rises_with_epsilon", as that may overshoot.

    Args:
        parts: of the evaluation.
        accuracy: `Part.id` → clean or robust accuracy.
    """
    values: dict[str, float] = {}
    curves: dict[tuple, list[tuple[float, float]]] = {}
    balls: dict[tuple, dict[bool, float]] = {}
    for part in parts:
        if part.threat is None or part.threat.epsilon is None or part.id not in accuracy:
            continue
        robust, clean = accuracy[part.id], accuracy.get(("clean", part.split, part.examples))
        if clean is not None:
            values["robust_above_clean"] = max(
                values.get("robust_above_clean", -1.0), robust - clean
            )
        ball = balls.setdefault((part.threat.norm, part.threat.epsilon, *part.id[1:]), {})
        is_transfer = part.threat.attack == "transfer"
        ball[is_transfer] = min(ball.get(is_transfer, 1.0), robust)
        if not part.threat.single_step:
            family = part.threat.family, part.split, part.examples
            curves.setdefault(family, []).append((part.threat.epsilon, robust))
    for ball in balls.values():
        if len(ball) == 2:
            values["transfer_stronger"] = max(
                values.get("transfer_stronger", -1.0), ball[False] - ball[True]
            )
    for curve in curves.values():
        heights = [height for _, height in sorted(curve)]
        for i, height in enumerate(heights[1:], start=1):
            values["rises_with_epsilon"] = max(
                values.get("rises_with_epsilon", -1.0), height - min(heights[:i])
            )
    return values


def check_warnings(warnings: Mapping[str, list[str]], n: int) -> dict[str, float]:
    """AutoAttack's own warnings as checks: name → the largest number its messages give, as a share;
    1 where none does.

    Args:
        warnings: kind → messages, as `attacks.autoattack` gives them.
        n: examples in a batch.
    """
    return {f"autoattack_{kind}": _largest(kind, told, n) for kind, told in warnings.items()}


def _largest(kind: str, messages: Iterable[str], n: int) -> float:
    return max(_number(kind, message, n) for message in messages)


def _number(kind: str, message: str, n: int) -> float:
    number = re.search(r"\d+(\.\d+)?", message)
    if number is None or kind not in ("square_helped", "zero_gradients"):
        return 1.0
    return float(number[0]) / (100 if kind == "square_helped" else n)
