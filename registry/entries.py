"""Lines of entries → entries: a track's own, and those with which a submission joins tracks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .read import nearest, parse, read_toml, shown, with_options
from .spec import Entry, EntryLine, InputError, Submission, Track, canonical

if TYPE_CHECKING:
    from .load import Registry


# What an entry trains and how strongly, whatever its spelling: network, method, parameters, λ.
Meaning = tuple[str, str, str, str]
Found = dict[Meaning, tuple[int, Entry]]


def of_track(registry: Registry, track: Track, path: Path) -> tuple[Entry, ...]:
    """The entries of a track's file. Raises InputError for one that names nothing registered, does
    not fit or is given twice.
    """
    found: Found = {}
    for number, line in enumerate(track.entry, start=1):
        try:
            _add(found, number, _expanded(registry, track, line.regularizer, line))
        except InputError as error:
            raise InputError(f"{shown(path)}: entry {number}: {error}") from None
    return tuple(entry for _, entry in found.values())


def of_submission(registry: Registry, name: str, path: Path) -> dict[str, tuple[Entry, ...]]:
    """Track → the entries with which a submission's `entries.toml` joins it. Raises InputError for
    a file that does not fit or names nothing registered.
    """
    found: dict[str, Found] = {}
    lines = parse(Submission, read_toml(path), shown(path)).entry
    for number, line in enumerate(lines, start=1):
        try:
            regularizer = with_options(name, line.params)
            mine = _expanded(registry, registry.track(line.track), regularizer, line)
            _add(found.setdefault(line.track, {}), number, mine)
        except InputError as error:
            raise InputError(f"{shown(path)}: entry {number}: {error}") from None
    return {track: tuple(entry for _, entry in mine.values()) for track, mine in found.items()}


def _add(found: Found, number: int, entries: Iterable[tuple[Meaning, Entry]]) -> None:
    """Raises InputError for an entry that is found already, under its id or another."""
    for meaning, entry in entries:
        if meaning in found:
            earlier, same = found[meaning]
            if same.id == entry.id:
                raise InputError(f"{entry.id} is given twice (also in entry {earlier})")
            raise InputError(f"{entry.id} is {same.id} of entry {earlier}, spelt another way")
        found[meaning] = number, entry


def _expanded(
    registry: Registry, track: Track, regularizer: str, line: EntryLine
) -> Iterator[tuple[Meaning, Entry]]:
    method, params = registry.method_and_params(regularizer)
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
        means = net.identity, method.card.name, canonical(params)
        like = Entry(
            dataset=track.dataset, architecture=architecture, regularizer=regularizer, strength=0.0
        )
        for strength in line.strengths or method.card.grid:
            if method.card.is_control and strength > 0:
                raise InputError(
                    f"lambda: {regularizer!r} is a control and takes 0 only, not {strength}"
                )
            # Validated with the line: there may be 100,000.
            entry = like.model_copy(update={"strength": strength})
            yield (*means, entry.id.rpartition("/")[2]), entry
