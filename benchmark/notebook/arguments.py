"""Numbers as a user of a notebook gives them: used, or refused in one line."""

from __future__ import annotations

import math
import operator
from typing import Any

from registry.spec import InputError
from registry.spec.base import LARGEST


def whole_number(field: str, value: Any, least: int) -> int:
    """Raises InputError naming the field where the value is none, below `least` or too large."""
    try:
        found = operator.index(value)
    except TypeError:
        raise InputError(f"{field} must be a whole number, not {value!r}") from None
    if found < least:
        raise InputError(f"{field} must be at least {least}, not {found}")
    if found > LARGEST:
        raise InputError(f"{field} must be at most {LARGEST}")
    return found


def number(value: Any) -> float:
    """NaN where the value is none."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
