"""Lines of entries → entries: a track's own, and those with which a submission joins tracks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .read import nearest, parse, read_toml, shown, with_options
from .spec import Entry, EntryLine, InputError, Submission, Track

if TYPE_CHECKING:
    from .load import Registry


def of_track(registry: Registry, track: Track, path: Path) -> tuple[Entry, ...]:
    """The entries of a track's file. Raises InputError for one that names nothing registered, does
    not fit or is given twice.
    """
    found: dict[str, tuple[int, Entry]] = {}
    for number, line in enumerate(track.entry, start=1):
        where = f"{shown(path)}: entry {number}"
        try:
            for entry in _expanded(registry, track, line.regularizer, line):
                id = entry.id
                if id in found:
                    raise InputError(f"{id} is given twice (also in entry {found[id][0]})")
                found[id] = number, entry
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
    return tuple(entry for _, entry in found.values())


def of_submission(registry: Registry, name: str, path: Path) -> dict[str, tuple[Entry, ...]]:
    """Track → the entries with which a submission's `entries.toml` joins it. Raises InputError for
    a file that does not fit or names nothing registered.
    """
    found: dict[str, dict[Entry, int]] = {}
    lines = parse(Submission, read_toml(path), shown(path)).entry
    for number, line in enumerate(lines, start=1):
        try:
            track = registry.track(line.track)
            mine = found.setdefault(line.track, {})
            for entry in _expanded(registry, track, with_options(name, line.params), line):
                if entry in mine:
                    raise InputError(f"{entry.id} is given twice (also in entry {mine[entry]})")
                mine[entry] = number
        except InputError as error:
            raise InputError(f"{shown(path)}: entry {number}: {error}") from None
    return {track: tuple(entries) for track, entries in found.items()}


def _expanded(
    registry: Registry, track: Track, regularizer: str, line: EntryLine
) -> Iterator[Entry]:
    method, _ = registry.method_and_params(regularizer)
    for architecture in line.architecture or track.architectures:
        if architecture not in track.architectures:
            raise InputError(
                f"architecture {nearest(architecture, track.architectures, 'in the track')}"
            )
        net = registry.architecture(architecture)
        if method.card.smooth_activation and net.activation == "relu":
            raise InputError(
                f"regularizer {regularizer!r} needs a smooth activation: its penalty is "
                f"degenerate on relu; use '{net.name}:activation=swish'"
            )
        like = Entry(
            dataset=track.dataset, architecture=architecture, regularizer=regularizer, strength=0.0
        )
        for strength in line.strengths or method.card.grid:
            if method.card.is_control and strength > 0:
                raise InputError(
                    f"lambda: {regularizer!r} is a control and takes 0 only, not {strength}"
                )
            # Validated with the line: there may be 100,000.
            yield like.model_copy(update={"strength": strength})
