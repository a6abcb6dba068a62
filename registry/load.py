"""The registry: everything registered or submitted, read lazily, and the trials that selectors
name.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from .read import (
    nearest,
    parse,
    parse_options,
    read_toml,
    require_files_of_a_submission,
    shown,
    source_hash,
    split_options,
    tables,
    with_options,
)
from .spec import (
    Architecture,
    Card,
    Dataset,
    Entry,
    EntryLine,
    InputError,
    Method,
    Submission,
    Track,
    Trial,
)

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, eq=False)
class Registry:
    """The registered things, read lazily from `root` and, for submitted regularizers, from
    `submissions`.

    With `only`, of the submissions that one alone is known, so that a broken neighbour is no
    hindrance.
    """

    root: Path = HERE
    submissions: Path = HERE.parent / "submissions"
    only: str | None = None

    def _names(self, folder: str) -> list[str]:
        return sorted(path.stem for path in (self.root / folder).glob("*.toml"))

    @cached_property
    def dataset_names(self) -> list[str]:
        return self._names("datasets")

    @cached_property
    def track_names(self) -> list[str]:
        return self._names("tracks")

    @cached_property
    def architectures(self) -> dict[str, Architecture]:
        found: dict[str, Architecture] = {}
        for path in sorted((self.root / "architectures").glob("*.toml")):
            for number, table in enumerate(tables(path, "architecture"), start=1):
                architecture = parse(Architecture, table, f"{shown(path)}: architecture {number}")
                if architecture.name in found:
                    raise InputError(
                        f"{shown(path)}: architecture {number}: name {architecture.name!r} is taken"
                    )
                found[architecture.name] = architecture
        return found

    @cached_property
    def regularizer_folders(self) -> dict[str, Path]:
        """Name → folder of every registered and submitted regularizer."""
        found: dict[str, Path] = {}
        for parent, pattern in (
            (self.root / "regularizers", "[a-z]*"),
            (self.submissions, self.only or "[a-z]*"),
        ):
            for card in sorted(parent.glob(f"{pattern}/card.toml")):
                if card.parent.name in found:
                    raise InputError(
                        f"{shown(card)}: the name {card.parent.name!r} is taken by "
                        f"{shown(found[card.parent.name])}; rename the folder"
                    )
                found[card.parent.name] = card.parent
        return found

    @cache  # noqa: B019  (a registry lives as long as the process)
    def regularizer(self, name: str) -> Method:
        """Raises InputError for an unknown name, a card that does not fit or, of a submission, a
        file that does not belong.
        """
        if name not in self.regularizer_folders:
            raise InputError(f"regularizer {nearest(name, self.regularizer_folders)}")
        folder = self.regularizer_folders[name]
        submitted = folder.parent == self.submissions
        if submitted:
            require_files_of_a_submission(folder)
        path = folder / "card.toml"
        card = parse(Card, read_toml(path), shown(path))
        if card.name != folder.name:
            raise InputError(
                f"{shown(path)}: name {card.name!r} must be the folder's, {folder.name!r}"
            )
        return Method(card=card, folder=folder, sha256=source_hash(folder), submitted=submitted)

    @cache  # noqa: B019
    def dataset(self, id: str) -> Dataset:
        """`mnist`, or `mnist:1,7` for two of its classes."""
        name, options = split_options(id)
        if name not in self.dataset_names:
            raise InputError(f"dataset {nearest(name, self.dataset_names)}")
        path = self.root / "datasets" / f"{name}.toml"
        whole = parse(Dataset, read_toml(path), shown(path))
        if whole.name != name:
            raise InputError(f"{shown(path)}: name {whole.name!r} must be the file's, {name!r}")
        if not options:
            return whole
        labels = options.split(",")
        last = len(whole.classes) - 1
        if not all(label.isdecimal() and int(label) <= last for label in labels):
            raise InputError(
                f"dataset {id!r}: classes after the colon are labels from 0 to {last}, as in '{name}:0,{last}'"
            )
        subset = tuple(map(int, labels))
        if len(subset) < 2 or list(subset) != sorted(set(subset)):
            raise InputError(
                f"dataset {id!r}: give two or more classes, each once, in rising order"
            )
        return whole.model_copy(update={"subset": subset})

    @cache  # noqa: B019
    def architecture(self, id: str) -> Architecture:
        """`lenet_5`, `lenet_5:activation=swish`, or `timm:resnet18`."""
        name, text = split_options(id)
        if name.startswith("timm:"):
            found = Architecture(name=name, title=name, timm=name.removeprefix("timm:"))
        elif name in self.architectures:
            found = self.architectures[name]
        else:
            raise InputError(f"architecture {nearest(name, self.architectures)}")
        try:
            options = parse_options(text)
        except ValueError as error:
            raise InputError(f"architecture {id!r}: {error}") from None
        if not options:
            return found
        if set(options) != {"activation"} or found.activation is None:
            allowed = "activation=…" if found.activation is not None else "no options"
            raise InputError(f"architecture {id!r}: {name} takes {allowed}")
        return parse(Architecture, found.model_dump() | options, f"architecture {id!r}")

    def params(self, id: str) -> tuple[Method, dict[str, Any]]:
        """`jacobian:projections=1` → the method and those of its parameters that differ from the
        card's defaults.
        """
        name, text = split_options(id)
        method = self.regularizer(name)
        try:
            given = parse_options(text)
        except ValueError as error:
            raise InputError(f"regularizer {id!r}: {error}") from None
        params = {}
        for field, text in given.items():
            if field not in method.card.params:
                raise InputError(
                    f"regularizer {id!r}: option {nearest(field, method.card.params, 'a parameter')}"
                )
            try:
                value = method.card.params[field].parse(text)
            except ValueError as error:
                raise InputError(f"regularizer {id!r}: {field} {error}") from None
            if value != method.card.params[field].default:
                params[field] = value
        return method, params

    def track(self, name: str) -> Track:
        """Raises InputError for an unknown name, a file that does not fit, an entry that names
        nothing registered, does not fit or is given twice."""
        return self._track_and_entries(name)[0]

    @cache  # noqa: B019
    def entries(self, track_name: str) -> tuple[Entry, ...]:
        """The track's own entries, then those with which submissions join it. Raises InputError as
        `track`, and where a submission's entries do not fit."""
        found = dict.fromkeys(self._track_and_entries(track_name)[1])
        for name in self.submitted_names:
            found |= dict.fromkeys(self.submitted_entries(name).get(track_name, ()))
        return tuple(found)

    @cache  # noqa: B019
    def _track_and_entries(self, name: str) -> tuple[Track, tuple[Entry, ...]]:
        if name not in self.track_names:
            raise InputError(f"track {nearest(name, self.track_names)}")
        path = self.root / "tracks" / f"{name}.toml"
        track = parse(Track, read_toml(path), shown(path))
        if track.name != name:
            raise InputError(f"{shown(path)}: name {track.name!r} must be the file's, {name!r}")
        try:
            self.dataset(track.dataset)
            for architecture in track.architectures:
                self.architecture(architecture)
        except InputError as error:
            raise InputError(f"{shown(path)}: {error}") from None
        entries: dict[str, tuple[int, Entry]] = {}
        for number, entry in self._numbered_entries(track, path):
            id = entry.id
            if id in entries:
                raise InputError(
                    f"{shown(path)}: entry {number}: {id} is given twice (also in entry {entries[id][0]})"
                )
            entries[id] = number, entry
        return track, tuple(entry for _, entry in entries.values())

    def _numbered_entries(self, track: Track, path: Path) -> Iterator[tuple[int, Entry]]:
        for number, line in enumerate(track.entry, start=1):
            try:
                for entry in self._expanded(track, line.regularizer, line):
                    yield number, entry
            except InputError as error:
                raise InputError(f"{shown(path)}: entry {number}: {error}") from None

    def _expanded(self, track: Track, regularizer: str, line: EntryLine) -> Iterator[Entry]:
        for architecture in line.architecture or track.architectures:
            if architecture not in track.architectures:
                raise InputError(
                    f"architecture {nearest(architecture, track.architectures, 'in the track')}"
                )
            method, _ = self.params(regularizer)
            net = self.architecture(architecture)
            if method.card.smooth_activation and net.activation == "relu":
                raise InputError(
                    f"regularizer {regularizer!r} needs a smooth activation: its penalty is "
                    f"degenerate on relu; use '{net.name}:activation=swish'"
                )
            like = Entry(
                dataset=track.dataset,
                architecture=architecture,
                regularizer=regularizer,
                strength=0.0,
            )
            for strength in line.strengths or method.card.grid:
                if method.card.grid == (0.0,) and strength > 0:
                    raise InputError(
                        f"lambda: {regularizer!r} is a control and takes 0 only, not {strength}"
                    )
                yield like.model_copy(
                    update={"strength": strength}
                )  # validated with the line: there may be 100,000

    @cached_property
    def submitted_names(self) -> list[str]:
        return sorted(
            name
            for name, folder in self.regularizer_folders.items()
            if folder.parent == self.submissions
        )

    @cache  # noqa: B019
    def submitted_entries(self, name: str) -> dict[str, tuple[Entry, ...]]:
        """Track → the entries with which a submission joins it, as its `entries.toml` says; none
        without that file.

        Raises InputError for a file that does not fit or names nothing registered.
        """
        path = self.regularizer(name).folder / "entries.toml"
        if not path.exists():
            return {}
        found: dict[str, dict[Entry, int]] = {}
        for number, line in enumerate(
            parse(Submission, read_toml(path), shown(path)).entry, start=1
        ):
            try:
                mine = found.setdefault(line.track, {})
                for entry in self._expanded(
                    self.track(line.track), with_options(name, line.params), line
                ):
                    if entry in mine:
                        raise InputError(f"{entry.id} is given twice (also in entry {mine[entry]})")
                    mine[entry] = number
            except InputError as error:
                raise InputError(f"{shown(path)}: entry {number}: {error}") from None
        return {track: tuple(entries) for track, entries in found.items()}

    def trial(self, entry: Entry, track: Track, seed: int) -> Trial:
        """Of an entry of the track."""
        method, params = self.params(entry.regularizer)
        control = entry.strength == 0  # λ = 0 switches a method off: all share one control
        return Trial(
            entry=entry,
            dataset=self.dataset(entry.dataset),
            architecture=self.architecture(entry.architecture),
            regularizer=None if control else str(method.folder),
            regularizer_sha256=None if control else method.sha256,
            params={} if control else params,
            seed=seed,
            stackable=control or (method.card.stackable and not method.submitted),
            recipe=track.recipes[entry.architecture],
            evaluation=track.evaluation,
            sandboxed=method.submitted and not control,
        )

    def select(
        self, selectors: Iterable[str], seeds: int | None = None
    ) -> list[tuple[Track, Trial]]:
        """Every trial that the selectors name: each is a track's name or a glob of entry ids.

        Args:
            seeds: take only the first so many of each track's seeds.
        Raises:
            InputError: where a selector names nothing, with the nearest name.
        """
        chosen: dict[tuple[str, str], Entry] = {}
        for selector in selectors:
            if "/" not in selector and not any(c in selector for c in "*?["):
                chosen.update(
                    {(selector, e.id): e for e in self.entries(self.track(selector).name)}
                )
                continue
            found = {
                (name, e.id): e
                for name in self.track_names
                for e in self.entries(name)
                if fnmatchcase(e.id, selector) or fnmatchcase(name, selector)
            }
            if not found:
                ids = {e.id for name in self.track_names for e in self.entries(name)}
                raise InputError(
                    f"no track and no entry matches {selector!r}; "
                    f"the nearest is {next(iter(difflib.get_close_matches(selector, ids, 1, 0)), 'none')!r}, "
                    "and `regbench list entries` shows all"
                )
            chosen |= found
        trials = []
        like: dict[
            tuple[str, str, str, bool], Trial
        ] = {}  # trials that differ in λ and seed only are copies of one
        for (name, _), entry in chosen.items():
            track = self.track(name)
            method = name, entry.architecture, entry.regularizer, entry.strength == 0
            if method not in like:
                like[method] = self.trial(entry, track, 0)
            trials += [
                (track, like[method].model_copy(update={"entry": entry, "seed": seed}))
                for seed in range(track.seeds if seeds is None else seeds)
            ]
        return trials
