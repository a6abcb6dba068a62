"""The home: where the database, the trials' folders and the caches live, and who writes there."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from registry.read import first_fault, read_whole, shown
from registry.spec import InputError, Part, Unavailable
from registry.write import set_aside, write_whole

from .outcome import Outcome, Row, TrainingRecord
from .rules import Column, faults, part_faults
from .seal import sealed, unsealed

R = TypeVar("R", bound=Row)

DATABASE = "regbench.duckdb"
OUTCOME = "outcome.json"
LARGEST = 2**30  # bytes of a file


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
        """Makes way for new weights: finished parts, and the record of training, tell of others."""
        self._training.unlink(missing_ok=True)
        shutil.rmtree(self._parts, ignore_errors=True)

    def believe(self, training: TrainingRecord) -> None:
        """Writes how the weights, which must be there, were trained."""
        _write(self._training, training)

    def training(self) -> TrainingRecord | None:
        return _or_aside(self._training, TrainingRecord)

    def set_aside_weights(self) -> None:
        set_aside(self.weights)

    def checkpoint(self, part: Part) -> Path:
        """Where a long attack keeps what it has done so far."""
        return self._parts / f"{_name(part)}.safetensors"

    def keep_part(self, part: Part, rows: Row) -> None:
        _write(self._parts / f"{_name(part)}.json", rows)

    def part(self, part: Part, form: type[R]) -> R | None:
        """The rows of a finished part, in the form in which they were kept."""
        return _or_aside(self._parts / f"{_name(part)}.json", form, lambda rows: _of(part, rows))

    def finish(self, outcome: Outcome) -> None:
        """Writes the outcome, which holds all that the parts did."""
        _write(self._outcome, outcome)
        shutil.rmtree(self._parts, ignore_errors=True)

    def outcome(self) -> Outcome | None:
        """None where there is none yet, or none that can be believed."""
        return _or_aside(self._outcome, Outcome, self._faults)

    def sound_outcome(self) -> Outcome | None:
        """None where there is none yet. Raises InputError, naming file and field, where it cannot
        be believed.
        """
        if not os.path.lexists(self._outcome):
            return None
        return _read(self._outcome, Outcome, self._faults)

    def _faults(self, outcome: Outcome) -> Iterator[str]:
        if outcome.key != self.path.name:
            yield f"key: is {outcome.key[:16]}, in the folder of {self.path.name}"
        yield from faults(outcome)

    def fail(self, traceback: str) -> None:
        write_whole(self.path / "error.txt", traceback)


def trial_folders(home: Path) -> Iterator[TrialFolder]:
    """Those under a home that have an outcome, in order of their keys."""
    names = sorted(os.listdir(home)) if home.is_dir() else []
    for name in names:
        if os.path.lexists(home / name / OUTCOME):
            yield TrialFolder(home, name)


def _name(part: Part) -> str:
    return "_".join(map(str, part.id))


def _write(path: Path, rows: Row) -> None:
    write_whole(path, sealed(rows.model_dump_json(by_alias=True)))


def _read(path: Path, form: type[R], faults_of: Callable[[R], Iterator[str]]) -> R:
    """Raises InputError for what is no sound file of its form."""
    try:
        rows = form.model_validate_json(unsealed(read_whole(path, LARGEST)))
        for fault in faults_of(rows):
            raise ValueError(fault)
        return rows
    except ValidationError as error:
        fault = first_fault(error, form)
    except ValueError as error:
        fault = str(error)
    raise InputError(f"{shown(path)}: {fault}; delete its folder and run again")


def _or_aside(
    path: Path, form: type[R], faults_of: Callable[[R], Iterator[str]] = lambda rows: iter(())
) -> R | None:
    if not os.path.lexists(path):
        return None
    try:
        return _read(path, form, faults_of)
    except InputError:
        set_aside(path)
        return None


def _of(part: Part, rows: Any) -> Iterator[str]:
    """What of a part's rows cannot be true, or is another part's."""
    for row in (*rows.scores, *rows.examples):
        if (row.threat, row.split, row.examples) != part.id:
            yield f"{row.metric} is of {row.threat} on {row.split} images"
    yield from part_faults(rows.scores, map(Column.of, rows.examples))
