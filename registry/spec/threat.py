"""Attacks with their settings, and the parts that an evaluation is made of."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import Field, model_validator

from .base import Count, Norm, Positive, Spec

# "apgd" is AutoAttack's first members: APGD-CE and, from four classes on, APGD-T.
# "union": PGD, PGD on the margin from ten starts, and AutoAttack on what they left.
# "transfer": the adversarial images that PGD finds for other models.
AttackName = Literal[
    "fgsm",
    "pgd",
    "malt",
    "deepfool",
    "carlini_wagner",
    "fmn",
    "apgd",
    "union",
    "autoattack",
    "transfer",
]
# Those of which all points of a curve of accuracy against ε are found in one pass.
CurveAttack = Literal["fgsm", "pgd"]
SINGLE_STEP: tuple[AttackName, ...] = ("fgsm",)

# Their customary settings: a threat's id names only what differs from these. An attack without an
# `epsilon` searches the smallest perturbation instead of staying within a ball. PGD's `step_size`
# is 2.5 ε / steps; a restart of MALT goes to another class.
ATTACKS: dict[AttackName, dict[str, Any]] = {
    "fgsm": {"norm": "inf", "epsilon": 0.1},
    "pgd": {"norm": "inf", "epsilon": 0.1, "steps": 20, "restarts": 1, "loss": "ce"},
    "malt": {"norm": "inf", "epsilon": 0.1, "steps": 20, "restarts": 9},
    "deepfool": {"norm": "2", "steps": 50},
    "carlini_wagner": {"norm": "2", "steps": 200},
    "fmn": {"norm": "inf", "steps": 100},
    "apgd": {"norm": "inf", "epsilon": 0.1},
    "union": {"norm": "inf", "epsilon": 0.1},
    "autoattack": {"norm": "inf", "epsilon": 0.1},
    "transfer": {"norm": "inf", "epsilon": 0.1, "steps": 20},
}

HONESTY_EXAMPLES = 128  # test images on which a model's honesty is checked

# How far an evaluation can be believed, rising. Every track's own threats are the quick tier, on
# its fixed subset; each further tier adds its attack under the headline's norm and ε on all
# test images, or the first so many that the track names.
# "autoattack" runs it on all images, for a number of its own, and is as good as verified.
Tier = Literal["quick", "standard", "verified", "autoattack"]
TIER_ATTACKS: dict[Tier, AttackName] = {
    "standard": "apgd",
    "verified": "union",
    "autoattack": "autoattack",
}
# What the standard tier has beside APGD.
MARGIN = {"attack": "pgd", "loss": "margin", "restarts": 10}


# Certificates are a tier of their own, beside the attacks': at these shares of the headline's ε,
# and on so many test images where a track does not say how many. LeNet-5 takes half a second each.
CERTIFIED_SHARES = (0.125, 0.25, 0.5, 0.75, 1.0)
CERTIFIED_EXAMPLES = 200

# The methods whose models' adversarial images are tried on all others of their track: the plain
# network, and the yardstick.
TRANSFER_FROM = ("none", "adversarial_training")

# What a track may measure beside what every track does; `benchmark.evaluation.columns` says what
# each is.
Measure = Literal["margins", "perturbed", "loss_variation", "margin_curvature"]


class Settings(Spec):
    """What a threat and a curve of threats may set alike."""

    norm: Norm
    steps: Count | None = None
    step_size: Positive | None = None
    restarts: Count | None = None
    loss: Literal["ce", "margin"] | None = None
    examples: Count | None = None


class Threat(Settings):
    """An attack with all its settings; ε in units of [0,1] pixels. A setting not given takes its
    customary value.

    `examples`, for a costly attack, is how many of the track's test images it is run on; it is no
    part of the id.
    """

    attack: AttackName
    epsilon: Positive | None = None

    @model_validator(mode="before")
    @classmethod
    def _customary(cls, data: Any) -> Any:
        known: dict[str, dict[str, Any]] = {**ATTACKS}
        return known.get(str(data.get("attack")), {}) | data if isinstance(data, dict) else data

    @model_validator(mode="after")
    def _meaningful(self) -> Threat:
        customary = ATTACKS[self.attack] | ({"step_size": None} if self.attack == "pgd" else {})
        for field in ("epsilon", "steps", "step_size", "restarts", "loss"):
            if getattr(self, field) is not None and field not in customary:
                raise ValueError(f"{self.attack} has no {field}")
        if customary["norm"] == "2" != self.norm:
            raise ValueError(f'{self.attack} measures ℓ2 perturbations; set norm = "2"')
        return self

    @property
    def is_minimal(self) -> bool:
        """Whether the attack searches the smallest perturbation: it has no ε."""
        return "epsilon" not in ATTACKS[self.attack]

    @property
    def family(self) -> Threat:
        """Without ε: equal for the points of one curve of accuracy against ε."""
        return self.model_copy(update={"epsilon": None})

    @property
    def has_curves(self) -> bool:
        """Whether several ε are found in one pass over the images."""
        return self.attack in get_args(CurveAttack)

    @property
    def single_step(self) -> bool:
        """Whether it takes one step of size ε, from the image itself, which may overshoot."""
        return self.attack in SINGLE_STEP

    @property
    def unusual(self) -> dict[str, int | float | str]:
        """The settings, radius and norm aside, that are not the customary ones."""
        given = {
            field: getattr(self, field) for field in ("steps", "step_size", "restarts", "loss")
        }
        return {
            field: value
            for field, value in given.items()
            if value != ATTACKS[self.attack].get(field)
        }

    @property
    def id(self) -> str:
        """Names the threat in rows and plots: two different threats never share one."""
        parts = [self.attack, self.norm] + (
            [] if self.epsilon is None else [f"{self.epsilon:.12g}"]
        )
        parts += [
            f"{field}={value:.12g}" if isinstance(value, float) else f"{field}={value}"
            for field, value in self.unusual.items()
        ]
        return "-".join(parts)


class Curve(Settings):
    """One attack over a grid of ε, for a curve of accuracy against ε: run in one pass, a threat for
    each ε.
    """

    attack: CurveAttack
    epsilons: tuple[Positive, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _meaningful(self) -> Curve:
        if list(self.epsilons) != sorted(set(self.epsilons)):
            raise ValueError("epsilons must rise and differ")
        _ = self.threats
        return self

    @property
    def threats(self) -> tuple[Threat, ...]:
        settings = self.model_dump(exclude={"epsilons"}, exclude_none=True)
        return tuple(Threat(**settings, epsilon=epsilon) for epsilon in self.epsilons)


class Radius(Spec):
    """A ball around each image, within which its class is to be proven."""

    norm: Norm
    epsilon: Positive

    @property
    def id(self) -> str:
        return f"certified-{self.norm}-{self.epsilon:.12g}"


class Source(Spec):
    """A model whose adversarial images are tried on another one."""

    regularizer: str
    key: str  # of its trial


class Part(Spec):
    """One part of an evaluation: accuracy ("clean"), checks of whether attacks on this model can be
    believed ("honesty"), per-example measures ("measures", or a further one's name), a threat or a
    certificate within a radius, on the first `examples` images of a split's fixed order.

    `sources`, of a "transfer" about to be run, are no part of the id: whichever model an
    adversarial image was found for, it is one.
    """

    name: str
    split: Literal["train", "validation", "test"]
    examples: Count
    threat: Threat | None = None
    radius: Radius | None = None
    sources: tuple[Source, ...] = ()

    @property
    def id(self) -> tuple[str, str, int]:
        return self.name, self.split, self.examples
