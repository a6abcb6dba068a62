"""A finding of `regbench check`. Loads no torch."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What a check found: `detail` says why not, or a number worth reading."""
    check: str
    ok: bool
    detail: str = ""
