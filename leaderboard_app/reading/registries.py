"""The registry as its files are: read anew when one of them changes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import streamlit as st

from registry.load import Registry
from registry.places import HERE, further, submissions

Version = str
_looked_at: ContextVar[Version] = ContextVar("_looked_at", default="")


def state_of(paths: Iterable[Path]) -> Version:
    """A digest of the files' names, times and sizes, as Streamlit hashes what a cache is asked with
    piece by piece; "" where there are none.
    """
    found = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue
        found.append((str(path), status.st_mtime_ns, status.st_size))
    return hashlib.sha256(repr(found).encode()).hexdigest() if found else ""


def registry() -> Registry:
    """The registry as its files are now."""
    return registry_of(registry_version())


def registry_version() -> Version:
    """Changes whenever a registered or submitted file does, or a challenge is accepted."""
    return _looked_at.get() or _registry_state()


@contextmanager
def one_registry() -> Iterator[None]:
    """Within it the registry stays what its files were at the start: a page asks often."""
    before = _looked_at.set(_registry_state())
    try:
        yield
    finally:
        _looked_at.reset(before)


def _registry_state() -> Version:
    folders = HERE, *further(), submissions()
    files = (path for folder in folders for path in folder.rglob("*.*"))
    return state_of(sorted(path for path in files if path.suffix in (".toml", ".py", ".json")))


@st.cache_resource(show_spinner=False, max_entries=1)
def registry_of(version: Version) -> Registry:
    """The registry of that state of its files."""
    return Registry()
