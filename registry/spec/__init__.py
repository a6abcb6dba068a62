"""What is compared, as strict data. Nothing here loads torch.

An *Entry* (dataset, architecture, regularizer, λ) under a *Track*'s protocol expands to *Trials*,
one per seed.
"""

from .architecture import Architecture
from .base import (
    LARGEST,
    LONGEST,
    Count,
    InputError,
    Name,
    NonNegative,
    Norm,
    Number,
    Positive,
    Share,
    Spec,
    Unavailable,
    canonical,
    named_lambda,
)
from .card import Card, Method, Param
from .dataset import Dataset
from .recipe import Recipe
from .threat import (
    ATTACKS,
    HONESTY_EXAMPLES,
    TIER_ATTACKS,
    TRANSFER_FROM,
    AttackName,
    Curve,
    Measure,
    Part,
    Radius,
    Source,
    Threat,
    Tier,
)
from .track import EntryLine, Result, Submission, SubmittedEntry, Track, TrackEntry
from .trial import TRAINER_VERSION, Entry, Trial, entry_id

__all__ = [
    "ATTACKS",
    "HONESTY_EXAMPLES",
    "LARGEST",
    "LONGEST",
    "TIER_ATTACKS",
    "TRAINER_VERSION",
    "TRANSFER_FROM",
    "Architecture",
    "AttackName",
    "Card",
    "Count",
    "Curve",
    "Dataset",
    "Entry",
    "EntryLine",
    "InputError",
    "Measure",
    "Method",
    "Name",
    "NonNegative",
    "Norm",
    "Number",
    "Param",
    "Part",
    "Positive",
    "Radius",
    "Recipe",
    "Result",
    "Share",
    "Source",
    "Spec",
    "Submission",
    "SubmittedEntry",
    "Threat",
    "Tier",
    "Track",
    "TrackEntry",
    "Trial",
    "Unavailable",
    "canonical",
    "entry_id",
    "named_lambda",
]
