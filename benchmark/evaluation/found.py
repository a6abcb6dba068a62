"""What a part of an evaluation gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor


class Found(NamedTuple):
    """Of one part: name → [N], and name → score."""

    columns: Mapping[str, Tensor]
    metrics: Mapping[str, Tensor | float]
