"""A row carries its own hash, so that a byte that changed on a disk or under a hand is seen."""

from __future__ import annotations

import hashlib
import re

_SEAL = re.compile(rb'\{"sha256":"([0-9a-f]{16})",')


def sealed(text: str) -> str:
    """A JSON object, `{"key": …}`, with the first 16 digits of its SHA-256 as its first field."""
    return f'{{"sha256":"{_digest(text.encode())}",{text[1:]}'


def unsealed(content: bytes) -> bytes:
    """The object without its seal; one that has none is returned as it is.

    Raises:
        ValueError: the seal is another text's.
    """
    found = _SEAL.match(content)
    if found is None:
        return content
    text = b"{" + content[found.end() :]
    if found[1].decode() != _digest(text):
        raise ValueError("sha256: is not that of the rest: it was changed since it was written")
    return text


def is_sealed(content: bytes) -> bool:
    """Whether a line begins with a seal, be it right or not."""
    return _SEAL.match(content) is not None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
