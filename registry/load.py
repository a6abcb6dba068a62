"""The registry: everything registered or submitted, read lazily, and the trials that selectors
name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from . import entries, options, places, select
from .places import HERE
from .read import (
    nearest,
    parse,
    read_toml,
    require_files_of_a_submission,
    shown,
    source_hash,
    split_options,
    tables,
)
from .spec import Architecture, Card, Dataset, Entry, InputError, Method, Track, Trial


@dataclass(frozen=True, eq=False)
class Registry:
    """The registered things, read lazily from `root`, from `further` folders laid out like it and,
    for submitted regularizers, from `submissions`.

    With `only`, of the submissions that one alone is known, so that a broken neighbour is no
    hindrance. Where two folders register one name, whoever asks gets an InputError.
    """

    root: Path = HERE
    submissions: Path = field(default_factory=places.submissions)
    only: str | None = None
    further: tuple[Path, ...] = field(default_factory=places.further)

    @property
    def roots(self) -> tuple[Path, ...]:
        return self.root, *self.further

    def _files(self, pattern: str) -> list[Path]:
        return [path for root in self.roots for path in sorted(root.glob(pattern))]

    @cached_property
    def dataset_files(self) -> dict[str, Path]:
        """Name → file."""
        return _once((path.stem, path) for path in self._files("datasets/*.toml"))

    @cached_property
    def track_files(self) -> dict[str, Path]:
        """Name → file."""
        return _once((path.stem, path) for path in self._files("tracks/*.toml"))

    @property
    def dataset_names(self) -> list[str]:
        return sorted(self.dataset_files)

    @property
    def track_names(self) -> list[str]:
        return sorted(self.track_files)

    @cached_property
    def architectures(self) -> dict[str, Architecture]:
        """Name → network, of every file. Raises InputError where one does not fit or two share a
        name.
        """
        found: dict[str, tuple[Architecture, Path]] = {}
        for path in self._files("architectures/*.toml"):
            for number, table in enumerate(tables(path, "architecture"), start=1):
                where = f"{shown(path)}: architecture {number}"
                architecture = parse(Architecture, table, where)
                name = architecture.name
                if name in found:
                    taken = shown(found[name][1])
                    raise InputError(f"{where}: name {name!r} is taken by {taken}; rename it")
                if architecture.module is not None and path.parent.parent in self.further:
                    module = str(path.parent / architecture.module)
                    architecture = architecture.model_copy(update={"module": module})
                found[name] = architecture, path
        return {name: architecture for name, (architecture, _) in found.items()}

    @cached_property
    def regularizer_folders(self) -> dict[str, Path]:
        """Name → folder of every registered and submitted regularizer. Raises InputError where two
        share a name.
        """
        registered = self._files("regularizers/[a-z]*/card.toml")
        submitted = places.submitted(self.submissions, self.only or "[a-z]*")
        # A method of a further registry may be looked at as a submission, too.
        folders = dict.fromkeys((*(card.parent for card in registered), *submitted))
        return _once((folder.name, folder) for folder in folders)

    @cached_property
    def submitted_names(self) -> list[str]:
        folders = self.regularizer_folders
        return sorted(name for name in folders if folders[name].parent == self.submissions)

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

    def method_and_params(self, id: str) -> tuple[Method, dict[str, Any]]:
        """`jacobian:projections=1` → the method and those of its parameters that differ from the
        card's defaults.
        """
        name, given = split_options(id)
        method = self.regularizer(name)
        return method, options.params(method.card, given)

    @cache  # noqa: B019
    def dataset(self, id: str) -> Dataset:
        """`mnist`, or `mnist:1,7` for two of its classes."""
        name, given = split_options(id)
        if name not in self.dataset_names:
            raise InputError(f"dataset {nearest(name, self.dataset_names)}")
        path = self.dataset_files[name]
        dataset = parse(Dataset, read_toml(path), shown(path))
        if dataset.name != name:
            raise InputError(f"{shown(path)}: name {dataset.name!r} must be the file's, {name!r}")
        return options.subset(dataset, given)

    @cache  # noqa: B019
    def architecture(self, id: str) -> Architecture:
        """`lenet_5`, `lenet_5:activation=swish`, or `timm:resnet18`."""
        name, given = split_options(id)
        if name.startswith("timm:"):
            found = Architecture(name=name, title=name, timm=name.removeprefix("timm:"))
        elif name in self.architectures:
            found = self.architectures[name]
        else:
            raise InputError(f"architecture {nearest(name, self.architectures)}")
        return options.activated(found, given)

    def track(self, name: str) -> Track:
        """Raises InputError for an unknown name, a file that does not fit, an entry that names
        nothing registered, does not fit or is given twice.
        """
        return self._track_and_entries(name)[0]

    @cache  # noqa: B019
    def entries(self, track_name: str) -> tuple[Entry, ...]:
        """The track's own entries, then those with which submissions join it. Raises InputError as
        `track`, and where a submission's entries do not fit.
        """
        found = dict.fromkeys(self._track_and_entries(track_name)[1])
        for name in self.submitted_names:
            found |= dict.fromkeys(self.submitted_entries(name).get(track_name, ()))
        return tuple(found)

    @cache  # noqa: B019
    def _track_and_entries(self, name: str) -> tuple[Track, tuple[Entry, ...]]:
        if name not in self.track_names:
            raise InputError(f"track {nearest(name, self.track_names)}")
        path = self.track_files[name]
        track = parse(Track, read_toml(path), shown(path))
        if track.name != name:
            raise InputError(f"{shown(path)}: name {track.name!r} must be the file's, {name!r}")
        try:
            self.dataset(track.dataset)
            for architecture in track.architectures:
                self.architecture(architecture)
        except InputError as error:
            raise InputError(f"{shown(path)}: {error}") from None
        return track, entries.of_track(self, track, path)

    @cache  # noqa: B019
    def submitted_entries(self, name: str) -> dict[str, tuple[Entry, ...]]:
        """Track → the entries with which a submission joins it, as its `entries.toml` says; none
        without that file. Raises InputError for a file that does not fit.
        """
        path = self.regularizer(name).folder / "entries.toml"
        return entries.of_submission(self, name, path) if path.exists() else {}

    def trial(self, entry: Entry, track: Track, seed: int) -> Trial:
        """Of an entry of the track."""
        method, params = self.method_and_params(entry.regularizer)
        control = entry.strength == 0  # λ = 0 switches a method off: all share one control
        return Trial(
            entry=entry,
            dataset=self.dataset(entry.dataset),
            architecture=self.architecture(entry.architecture),
            plugin=None if control else str(method.folder),
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
        """Every trial that the selectors name: each is a track's name or a glob of entry ids, in
        which a track's name may stand for the data set.

        Args:
            seeds: take only the first so many of each track's seeds.
        Raises:
            InputError: where a selector names nothing, with the nearest name.
        """
        return list(select.trials(self, select.entries(self, selectors), seeds))


def _once(named: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """Name → place. Raises InputError where two places have one name."""
    found: dict[str, Path] = {}
    for name, path in named:
        if name in found:
            raise InputError(
                f"{shown(path)}: the name {name!r} is taken by {shown(found[name])}; rename it"
            )
        found[name] = path
    return found
