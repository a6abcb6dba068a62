"""Challenges: adversarial images that somebody found against one registered trial.

A challenge is data alone, a folder `submissions/challenges/<name>/`: `challenge.toml` says against
what, `adversarial.safetensors` holds the images. `regbench challenge check` writes `accepted.json`
beside them, and from then on, as long as both files stay as they are, the images count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError

from registry.places import CHALLENGES, submissions
from registry.read import parse, read_toml, require_files, shown
from registry.spec import InputError, Norm, Positive, Spec, Threat

from .outcome import Row

TOML, IMAGES, ACCEPTED = "challenge.toml", "adversarial.safetensors", "accepted.json"
FILES = (TOML, IMAGES, ACCEPTED, "README.md")
LARGEST = {TOML: 10_000, IMAGES: 2**28, ACCEPTED: 2**20, "README.md": 100_000}  # bytes


def _printable(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise ValueError("must be one line of printable characters")
    return text


class Ball(Spec):
    """Within which the images lie, in units of [0, 1] pixels."""

    norm: Norm
    epsilon: Positive


class Challenge(Spec):
    """A `challenge.toml`. `key` is the trial's, so that a changed protocol is not challenged by
    mistake.
    """

    author: Annotated[str, Field(max_length=100), AfterValidator(_printable)]
    track: str
    entry: str
    seed: Annotated[int, Field(ge=0)]
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    threat: Ball


class Acceptance(Row):
    """An `accepted.json`: what the check found of exactly these files."""

    sha256: str  # of challenge.toml and the images
    weights_sha256: str
    data_sha256: str
    # places in the fixed order of test images, rising
    images: tuple[Annotated[int, Field(ge=0)], ...]


@dataclass(frozen=True)
class Accepted:
    """What counts: the test images on which `author` broke the trial of `key`, trained to these
    weights.
    """

    author: str
    key: str
    weights_sha256: str
    ball: Ball
    images: tuple[int, ...]

    def answers(self, threat: Threat) -> bool:
        """Whether the images lie in a threat's ball."""
        return (self.ball.norm, self.ball.epsilon) == (threat.norm, threat.epsilon)


def read(folder: Path) -> Challenge:
    """Raises InputError where a file is missing, too large, or none of a challenge's, or the TOML
    does not fit. Of the images it reads nothing.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise InputError(f"{shown(folder)}: is no folder; a challenge is one")
    require_files(folder, FILES, "a challenge")
    for name in (TOML, IMAGES):
        if not (folder / name).exists():
            raise InputError(f"{shown(folder)}: has no {name}; add it")
    for path in folder.iterdir():
        size, largest = path.stat().st_size, LARGEST[path.name]
        if size > largest:
            raise InputError(
                f"{shown(path)}: has {size:,} bytes, more than the {largest:,} that it may have; "
                "give fewer"
            )
    return parse(Challenge, read_toml(folder / TOML), shown(folder / TOML))


def digest(folder: Path) -> str:
    """SHA-256 of what a challenge says and holds."""
    found = hashlib.sha256()
    for name in (TOML, IMAGES):
        with (folder / name).open("rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()


def accepted() -> Iterator[Accepted]:
    """Every challenge that the check has accepted as it is now, in order of their folders' names.

    Raises InputError where a folder that has an `accepted.json` is no challenge.
    """
    for path in sorted((submissions() / CHALLENGES).glob(f"*/{ACCEPTED}")):
        challenge = read(path.parent)
        try:
            found = Acceptance.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise InputError(
                f"{shown(path)}: is not what `regbench challenge check` writes "
                f"({error.errors()[0]['msg']}); delete it and check again"
            ) from None
        if found.sha256 == digest(path.parent):
            yield Accepted(
                challenge.author,
                challenge.key,
                found.weights_sha256,
                challenge.threat,
                found.images,
            )
