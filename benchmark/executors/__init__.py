"""Where trials run: each executor is a function that takes trials and yields their outcomes as they come."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

from registry.spec import Trial

from ..outcome import Outcome


class Execute(Protocol):
    """An executor with its settings given."""

    def __call__(self, trials: Iterable[Trial], home: Path, *, on_start: Callable[[Trial], None],
                 stopping: Callable[[], bool]) -> Iterator[Outcome]: ...
