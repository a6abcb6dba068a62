"""A track: one competition, its entries, and what submissions add to them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from .base import Count, InputError, Name, NonNegative, Number, Share, Spec, named_lambda
from .recipe import Recipe
from .threat import (
    CERTIFIED_EXAMPLES,
    CERTIFIED_SHARES,
    HONESTY_EXAMPLES,
    MARGIN,
    TIER_ATTACKS,
    Curve,
    Measure,
    Part,
    Radius,
    Source,
    Threat,
    Tier,
)
from .trial import Trial

MOST_SEEDS = 1000


class Result(Spec):
    """A value that a paper reports: shown beside ours, never tuned toward."""

    paper: str
    architecture: str
    regularizer: str
    metric: str
    value: Number
    strength: NonNegative | None = named_lambda(None)
    spread: NonNegative | None = None

    @property
    def ends(self) -> tuple[float, float]:
        """The value less and plus its spread; NaN where the paper gives none."""
        spread = math.nan if self.spread is None else self.spread
        return self.value - spread, self.value + spread


class EntryLine(Spec):
    """What a line of entries may leave open: the λ grid is then the card's, the architectures all
    of the track's.
    """

    architecture: tuple[str, ...] | None = None
    strengths: Annotated[tuple[NonNegative, ...], Field(min_length=1)] | None = named_lambda(None)

    @model_validator(mode="before")
    @classmethod
    def _one_or_several(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {
                key: (value,)
                if key in ("architecture", "lambda") and not isinstance(value, list | tuple)
                else value
                for key, value in data.items()
            }
        return data


class TrackEntry(EntryLine):
    """A line of a track: a method with its λ grid on some of the track's architectures."""

    regularizer: str


class SubmittedEntry(EntryLine):
    """A line of a submission's `entries.toml`: a track that the method joins, with params other
    than the card's defaults.
    """

    track: str
    params: dict[Name, bool | int | float | str] = Field(default_factory=dict)


class Submission(Spec):
    """A submission's `entries.toml`."""

    entry: tuple[SubmittedEntry, ...] = Field(min_length=1)


class Track(Spec):
    """One comparable competition: all that is held fixed, and the entries that compete."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*(@[1-9][0-9]*)?$")]
    title: str
    dataset: str
    architectures: tuple[str, ...] = Field(min_length=1)
    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)]
    threats: tuple[Threat, ...] = Field(min_length=1)
    curves: tuple[Curve, ...] = ()  # further ε, for plots: no columns of the ranking
    measures: tuple[Measure, ...] = ()  # further ones, beside those of every track
    headline: str  # the id of the threat that ranks
    # "headline": by robust accuracy under that threat. "worst_case": by the share of images that
    # stand against every attack within the headline's norm and ε, the tier's own among them
    ranks_by: Literal["headline", "worst_case"] = Field("headline", exclude_if="headline".__eq__)
    clean_floor: Share  # λ whose validation accuracy is below it cannot be selected
    recipe: Recipe
    recipe_for: dict[str, dict[str, Any]] = Field(
        default_factory=dict
    )  # architecture → the fields that differ there
    test_examples: Count = 1000
    # Test images of the higher tiers; None: all there are. Like `ranks_by` it is no part of the
    # protocol of a track that leaves it open, which may be older than the field.
    tier_examples: Count | None = Field(None, exclude_if=lambda value: value is None)
    # Test images with certificates, likewise; None: CERTIFIED_EXAMPLES.
    certified_examples: Count | None = Field(None, exclude_if=lambda value: value is None)
    measure_examples: Count = 500
    notes: str = ""
    entry: tuple[TrackEntry, ...] = Field(min_length=1)
    reported: tuple[Result, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Track:
        ids = [threat.id for threat in self.threats]
        if len(set(ids)) < len(ids):
            raise ValueError(f"threats: {next(i for i in ids if ids.count(i) > 1)} is given twice")
        for threat in self.threats:
            if threat.attack == "transfer":
                raise ValueError(
                    f"threats: {threat.id} needs other models of the track; leave it out, and "
                    "`regbench transfer` runs it"
                )
        if self.headline not in ids:
            raise ValueError(f"headline: {self.headline!r} is none of the threats {', '.join(ids)}")
        for architecture in self.recipe_for:
            if architecture not in self.architectures:
                raise ValueError(
                    f"recipe_for: {architecture!r} is none of the track's architectures"
                )
            self._recipe_of(architecture)
        if self.ranks_by == "worst_case" and self.headline_threat.epsilon is None:
            raise ValueError(f"ranks_by: {self.headline} has no epsilon within which to be worst")
        return self

    @property
    def ranking(self) -> str:
        """The column of the standings that ranks: a threat's id, or "worst"."""
        return "worst" if self.ranks_by == "worst_case" else self.headline

    @cached_property
    def recipes(self) -> dict[str, Recipe]:
        """Architecture → the recipe on it."""
        return {architecture: self._recipe_of(architecture) for architecture in self.architectures}

    def _recipe_of(self, architecture: str) -> Recipe:
        """Raises ValueError naming the field that does not fit."""
        try:
            return Recipe(
                **self.recipe.model_dump(exclude_unset=True) | self.recipe_for.get(architecture, {})
            )
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, ("recipe_for", architecture, *first["loc"])))
            raise ValueError(f"{where}: {first['msg']}") from None

    @cached_property
    def evaluation(self) -> tuple[Part, ...]:
        """What is measured on each of the track's models. Only the headline threat is needed on
        validation images.
        """
        clean = [
            Part(name="clean", split=split, examples=self.test_examples)
            for split in ("train", "validation", "test")
        ]
        headline = [
            self._part(threat, "validation")
            for threat in self.threats
            if threat.id == self.headline
        ]
        threats = [self._part(threat) for threat in self.threats]
        curves = [self._part(threat) for curve in self.curves for threat in curve.threats]
        honesty = Part(
            name="honesty", split="test", examples=min(HONESTY_EXAMPLES, self.test_examples)
        )
        measures = Part(name="measures", split="test", examples=self.measure_examples)
        further = [
            Part(name=name, split=split, examples=self.measure_examples)
            for name in self.measures
            for split in (("train", "test") if name == "margins" else ("test",))
        ]
        return tuple(
            dict.fromkeys((*clean, *headline, *threats, *curves, honesty, measures, *further))
        )

    def _part(self, threat: Threat, split: Literal["validation", "test"] = "test") -> Part:
        examples = min(threat.examples or self.test_examples, self.test_examples)
        return Part(
            name=threat.id,
            split=split,
            examples=examples,
            threat=threat.model_copy(update={"examples": None}),
        )

    @property
    def headline_threat(self) -> Threat:
        return next(threat for threat in self.threats if threat.id == self.headline)

    @property
    def headline_metric(self) -> str:
        """What ranks: robust accuracy, or for an attack without ε the mean relative distance."""
        return "relative_distance" if self.headline_threat.epsilon is None else "robust_accuracy"

    def within_headline(self, part: Part) -> bool:
        """Whether a part attacks within the headline's norm and ε: ranks and worst cases rest on
        such.
        """
        ranks, its = self.headline_threat, part.threat
        return its is not None and its.norm == ranks.norm and its.epsilon == ranks.epsilon

    def tier_parts(self, tier: Tier, test_size: int) -> tuple[Part, ...]:
        """What a tier above "quick" adds: its attacks, under the headline's norm and ε, on the
        first `tier_examples` test images, or on all of them.

        Raises InputError where the headline has no ε, or the tier has no attack.
        """
        headline = self.headline_threat
        if tier not in TIER_ATTACKS:
            raise InputError(f"tier: {tier!r} adds no attack; give {' or '.join(TIER_ATTACKS)}")
        if headline.epsilon is None:
            raise InputError(
                f"track {self.name}: tier {tier!r} needs a headline threat with an epsilon, which "
                f"{headline.id} has not"
            )
        within = {"norm": headline.norm, "epsilon": headline.epsilon}
        threats = [Threat(attack=TIER_ATTACKS[tier], **within)]
        if tier == "standard":
            threats.append(Threat(**MARGIN, **within))
        examples = min(self.tier_examples or test_size, test_size)
        return tuple(
            Part(name=threat.id, split="test", examples=examples, threat=threat)
            for threat in threats
        )

    def certificates(self, test_size: int) -> tuple[Part, ...]:
        """Both sides of robustness on the first `certified_examples` test images: what is proven in
        the headline's norm, at its ε and at smaller ones, and FMN's nearest adversarial images.

        Nothing where the headline has no ε.
        """
        headline = self.headline_threat
        if headline.epsilon is None:
            return ()
        n = min(self.certified_examples or CERTIFIED_EXAMPLES, self.test_examples, test_size)
        parts = []
        for share in CERTIFIED_SHARES:
            epsilon = float(f"{share * headline.epsilon:.12g}")  # 0.075, not 0.07500000000000001
            radius = Radius(norm=headline.norm, epsilon=epsilon)
            parts.append(Part(name=radius.id, split="test", examples=n, radius=radius))
        nearest = Threat(attack="fmn", norm=headline.norm)
        return (*parts, Part(name=nearest.id, split="test", examples=n, threat=nearest))

    def transfer(self, sources: Iterable[Source] = ()) -> tuple[Part, ...]:
        """The adversarial images of `sources` within the headline's norm and ε, on the test images
        of the track's own threats. Nothing where the headline has no ε.
        """
        headline = self.headline_threat
        if headline.epsilon is None:
            return ()
        threat = Threat(attack="transfer", norm=headline.norm, epsilon=headline.epsilon)
        return (self._part(threat).model_copy(update={"sources": tuple(sources)}),)

    def with_tiers(self, trials: Iterable[Trial]) -> list[Trial]:
        """Trials of the track with what the higher tiers, certificates and transfer add to their
        evaluation, if the headline has an ε.
        """
        trials = list(trials)
        if self.headline_threat.epsilon is None:
            return trials
        # A track's trials share one evaluation, which is slow to hash: there may be 100,000.
        extended: dict[int, tuple[Part, ...]] = {}
        found = []
        for trial in trials:
            shared = id(trial.evaluation)
            if shared not in extended:
                size = trial.dataset.test_size
                parts = [part for tier in TIER_ATTACKS for part in self.tier_parts(tier, size)]
                more = (*parts, *self.certificates(size), *self.transfer())
                extended[shared] = trial.also(more).evaluation
            found.append(trial.model_copy(update={"evaluation": extended[shared]}))
        return found
