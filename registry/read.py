"""TOML → specs, ids → names and options. An error is one line that names file, field, value and the
nearest valid name.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import stat
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from .spec import InputError, Spec

S = TypeVar("S", bound=Spec)

LARGEST_TOML = LARGEST_SOURCE = 2**20  # bytes

SUBMISSION_FILES = (
    *("card.toml", "regularizer.py", "entries.toml"),
    *("results.jsonl", "results.parquet", "README.md"),
)
UNSEEN = ("Cc", "Cf", "Zl", "Zp")  # control and format characters, line and paragraph separators


def nearest(name: str, known: Iterable[str], what: str = "registered") -> str:
    """The end of an error line: that `name` is unknown, and what was probably meant."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    hint = (
        f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known)) or 'none'}"
    )
    return f"{name!r} is not {what}; {hint}"


def shown(path: Path) -> str:
    """A path as the user would type it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def read_whole(path: Path, largest: int) -> bytes:
    """What a regular file of at most `largest` bytes holds. Raises InputError for one that is
    missing or larger, and for a folder, a pipe, a device or a link to itself, without waiting.
    """
    try:
        # A pipe that nobody writes to would be waited for.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as f:
            status = os.fstat(f.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InputError(f"{shown(path)}: is no file; put a regular file there")
            if status.st_size > largest:
                raise InputError(
                    f"{shown(path)}: has {status.st_size} bytes, where at most {largest} are read"
                )
            return f.read(largest)
    except OSError as error:
        raise InputError(f"{shown(path)}: cannot be read: {error.strerror}") from None


def read_toml(path: Path) -> dict[str, Any]:
    """Raises InputError where the file is missing, no file, empty, too large, not UTF-8 or not
    TOML.
    """
    content = read_whole(path, LARGEST_TOML)
    try:
        data = tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        raise InputError(
            f"{shown(path)}: byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{shown(path)}: not valid TOML: {error}") from None
    except RecursionError:
        raise InputError(f"{shown(path)}: is nested too deeply; take brackets out") from None
    except ValueError as error:  # Python's own limit of digits
        raise InputError(f"{shown(path)}: holds no usable number: {error}") from None
    if not data:
        raise InputError(f"{shown(path)}: is empty; copy a neighbouring file and edit it")
    return data


def parse(kind: type[S], data: dict[str, Any], source: str) -> S:
    """Plain data → spec. Raises InputError naming `source` and the first field that is wrong."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise InputError(f"{source}: {first_fault(error, kind)}") from None
    except RecursionError:
        raise InputError(f"{source}: is nested too deeply; take brackets out") from None


def first_fault(error: ValidationError, kind: type[BaseModel]) -> str:
    """In one line the first field that is wrong, why, and what was given."""
    first = error.errors(include_url=False)[0]
    # Without the names of validators and of the types of a union.
    loc = [step for step in first["loc"] if step != "float" and "[" not in str(step)]
    words = [
        f"{word} {step + 1}" if isinstance(step, int) else str(step)
        for word, step in zip(["", *loc], loc)
    ]
    # "entry", "entry 3" read as one: the number stands for its list
    where = ": ".join(
        w for i, w in enumerate(words) if not (i + 1 < len(loc) and isinstance(loc[i + 1], int))
    )
    if first["type"] == "extra_forbidden":
        name = str(first["loc"][-1])
        parent = where.removesuffix(name)
        return f"{parent}unknown field {nearest(name, _fields_at(kind, loc[:-1]), 'a field')}"
    message = first["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    given = _given(first.get("input"))
    told = f" (given: {given})" if given and given not in message else ""
    return f"{where + ': ' if where else ''}{message}{told}"


def _given(value: Any) -> str:
    """A plain value as it would be typed; nothing for what has no short text."""
    if isinstance(value, int) and abs(value) >= 2**64:
        return "an integer of more than 64 bits"  # Python refuses to print some of them
    return repr(value)[:100] if isinstance(value, str | int | float) else ""


def _fields_at(kind: Any, loc: list[Any]) -> list[str]:
    for step in loc:
        if isinstance(step, str) and step in kind.model_fields:
            kind = next(iter(_specs_in(kind.model_fields[step].annotation)), kind)
    return [field.serialization_alias or name for name, field in kind.model_fields.items()]


def _specs_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _specs_in(argument)


def split_options(text: str) -> tuple[str, str]:
    """`name:options` → (name, options). A timm model's name keeps its prefix: `timm:resnet18`."""
    if text.startswith("timm:"):
        name, _, options = text.removeprefix("timm:").partition(":")
        return f"timm:{name}", options
    name, _, options = text.partition(":")
    return name, options


def parse_options(text: str) -> dict[str, str]:
    """`projections=1,norm=inf` → {"projections": "1", "norm": "inf"}."""
    options: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        if not equals or not name or name in options:
            raise ValueError(f"option {part!r} must be name=value, each name once")
        options[name] = value
    return options


def with_options(name: str, options: dict[str, Any]) -> str:
    """The inverse of `split_options` and `parse_options`: {"projections": 1} →
    `jacobian:projections=1`.
    """
    texts = [
        f"{option}={str(value).lower() if isinstance(value, bool) else value}"
        for option, value in options.items()
    ]
    return ":".join([name, *filter(None, [",".join(texts)])])


def source(folder: Path) -> str:
    """A plugin's code as a reviewer reads it, with LF line endings: what is hashed and what is run.

    Raises InputError where it is missing, no UTF-8, or holds a character that cannot be seen: such
    may make an editor show other code than Python runs.
    """
    path = folder / "regularizer.py"
    if not os.path.lexists(path):
        raise InputError(
            f"{shown(folder)}: has no regularizer.py; `regbench new` makes one that works"
        )
    try:
        text = read_whole(path, LARGEST_SOURCE).replace(b"\r\n", b"\n").decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{shown(path)}: byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from None
    for number, line in enumerate(text.split("\n"), start=1):
        unseen = next((c for c in line if unicodedata.category(c) in UNSEEN and c != "\t"), None)
        if unseen is not None:
            raise InputError(
                f"{shown(path)}: line {number}: holds the character U+{ord(unseen):04X}, which "
                "cannot be seen; take it out"
            )
    return text


def source_hash(folder: Path) -> str:
    """SHA-256 of a plugin's code, the same under either line ending."""
    return text_hash(source(folder))


def text_hash(text: str) -> str:
    """SHA-256 of what `source` gives."""
    return hashlib.sha256(text.encode()).hexdigest()


def require_files_of_a_submission(folder: Path) -> None:
    """Raises InputError naming what a submission's folder must not hold; opens nothing in it."""
    require_files(folder, SUBMISSION_FILES, "a submission")


def require_files(folder: Path, known: Sequence[str], what: str) -> None:
    """Raises InputError naming what a folder must not hold: other names than `known`, links and
    what is no plain file. Opens nothing in it.
    """
    for path in sorted(folder.iterdir()):
        name = path.name if path.name.isprintable() else ascii(path.name)
        if path.name not in known:
            raise InputError(
                f"{shown(folder)}: {name} is no file of {what}; delete it: only "
                f"{', '.join(known)} may be there"
            )
        if path.is_symlink():
            raise InputError(f"{shown(folder)}: {name} is a link; put the file itself there")
        if not path.is_file():
            raise InputError(f"{shown(folder)}: {name} is no file; put a plain file there")


def tables(path: Path, key: str) -> list[dict[str, Any]]:
    """The tables of a file that holds nothing but an array of them under `key`."""
    data = read_toml(path)
    tables = data.get(key)
    if (
        set(data) != {key}
        or not isinstance(tables, list)
        or not all(isinstance(table, dict) for table in tables)
    ):
        raise InputError(f"{shown(path)}: must hold [[{key}]] tables and nothing else")
    return tables
