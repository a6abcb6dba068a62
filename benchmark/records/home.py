"""The home: where the database, the trials' folders and the caches live, and who writes there."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from registry.read import shown
from registry.spec import Part, Unavailable
from registry.write import set_aside, write_whole

from .outcome import Outcome, Row, TrainingRecord

R = TypeVar("R", bound=Row)

DATABASE = "regbench.duckdb"
OUTCOME = "outcome.json"


def home() -> Path:
    """$REGBENCH_HOME, or runs/ in the working folder."""
    return Path(os.environ.get("REGBENCH_HOME") or "runs").expanduser().resolve()


@contextmanager
def sole_runner(home: Path) -> Iterator[None]:
    """Raises Unavailable where another run works on the same home. The lock goes with the process,
    however it ends.
    """
    home.mkdir(parents=True, exist_ok=True)
    path = home / ".runner"
    with open(path, "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            who = file.read().strip() or "?"
            raise Unavailable(
                f"{shown(home)}: process {who} is running trials there; wait for it, or set "
                "REGBENCH_HOME to another folder"
            ) from None
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield


class TrialFolder:
    """`home/<key>/`: all that one trial leaves on disk. Each file appears whole or not at all.

    A trial writes, in this order: `weights.safetensors` and, of a method that has a state,
    `state.safetensors`; `training.json`, which makes them believed; in `parts/` each finished part
    of the evaluation and what a long attack has done so far; `outcome.json`, upon which `parts/`
    goes; or `error.txt`, where it failed. A damaged file is renamed to `.quarantined` and taken as
    missing, so that the trial makes it again.
    """

    def __init__(self, home: Path, key: str):
        self.path = home / key
        self.weights = self.path / "weights.safetensors"
        self.state = self.path / "state.safetensors"
        self._training = self.path / "training.json"
        self._parts = self.path / "parts"
        self._outcome = self.path / OUTCOME

    @property
    def is_trained(self) -> bool:
        return self._training.exists() and self.weights.exists()

    @property
    def is_evaluated(self) -> bool:
        """Whether anything of the evaluation is there."""
        return self._parts.exists() or self._outcome.exists()

    def digest(self) -> str:
        """SHA-256 of the weights, which must be there."""
        with self.weights.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def begin(self) -> None:
        """Makes way for new weights: finished parts tell of other ones."""
        shutil.rmtree(self._parts, ignore_errors=True)

    def believe(self, training: TrainingRecord) -> None:
        """Writes how the weights, which must be there, were trained."""
        write_whole(self._training, training.model_dump_json())

    def training(self) -> TrainingRecord | None:
        return self._read(self._training, TrainingRecord)

    def set_aside_weights(self) -> None:
        set_aside(self.weights)

    def checkpoint(self, part: Part) -> Path:
        """Where a long attack keeps what it has done so far."""
        return self._parts / f"{_name(part)}.safetensors"

    def keep_part(self, part: Part, rows: Row) -> None:
        write_whole(self._parts / f"{_name(part)}.json", rows.model_dump_json())

    def part(self, part: Part, form: type[R]) -> R | None:
        """The rows of a finished part, in the form in which they were kept."""
        return self._read(self._parts / f"{_name(part)}.json", form)

    def finish(self, outcome: Outcome) -> None:
        """Writes the outcome, which holds all that the parts did."""
        outcome.write(self._outcome)
        shutil.rmtree(self._parts, ignore_errors=True)

    def outcome(self) -> Outcome | None:
        return self._read(self._outcome, Outcome)

    def fail(self, traceback: str) -> None:
        write_whole(self.path / "error.txt", traceback)

    def _read(self, path: Path, form: type[R]) -> R | None:
        try:
            return form.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError:
            set_aside(path)
            return None


def trial_folders(home: Path) -> Iterator[TrialFolder]:
    """Those under a home that have an outcome, in order of their keys."""
    for path in sorted(home.glob(f"*/{OUTCOME}")):
        yield TrialFolder(home, path.parent.name)


def _name(part: Part) -> str:
    return "_".join(map(str, part.id))
