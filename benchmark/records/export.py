"""The rows that a pull request adds: a track's outcomes, small enough to be kept and reviewed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from registry.load import Registry
from registry.places import HERE, clone
from registry.read import read_whole, shown
from registry.select import with_references
from registry.spec import InputError, Part, Track, Trial
from registry.write import write_whole

from . import registered, rows
from .home import TrialFolder, home
from .metrics import TRAINING
from .outcome import Outcome
from .registered import COMMAND

SAMPLE = 100  # per-example values kept of each column
SAMPLED_SEEDS = 3  # of so many seeds; scores, layers and epochs are kept of all
DIGITS = 4  # significant, of per-example values
# Beside the rows: track → hash of the protocol that they were run under.
PROTOCOLS = "protocols.json"
LARGEST = 2**20  # bytes of it
_PROTOCOLS = TypeAdapter(dict[str, str])


def export(track: Track, trials: Iterable[Trial], home: Path, folder: Path) -> tuple[int, int]:
    """Writes `folder/<track>.jsonl` and the Parquet file beside it: the rows that are there and
    those of `trials` and their references that ran in `home`.

    A row is of one run: an outcome here replaces a registered one of the same key where it has all
    of its parts. Rows are ordered by key, so that a diff shows what changed.

    Returns:
        How many rows the files hold, and how many of them are new or changed.
    Raises:
        InputError: nothing of the track has run, its results were run under another protocol, or a
            row, here or there, is not sound.
    """
    path = folder / f"{track.name}.jsonl"
    check_protocol(track, folder)
    before = {row.key: row for row in rows.outcomes(path, COMMAND)} if path.exists() else {}
    after = dict(before)
    asked = with_references(trials)
    for trial, extended in zip(asked, track.with_tiers(asked)):
        if trial.sandboxed:
            continue  # a submission brings its own rows
        outcome = TrialFolder(home, trial.key).sound_outcome()
        if outcome is None or not outcome.answers(trial):
            continue  # not run, or not under all that the track now asks for
        row = reduced(outcome, track, extended.evaluation)
        known, wanted = after.get(trial.key), {part.id for part in extended.evaluation}
        if known is None or known.parts & wanted <= row.parts:
            after[trial.key] = row
    if not after:
        raise InputError(
            f"export: nothing of track {track.name} has run in {home}; "
            f"`regbench run {track.name}` does"
        )
    lines = {key: rows.as_line(row) for key, row in before.items()}
    changed = [key for key, row in after.items() if lines.get(key) != rows.as_line(row)]
    if changed:
        rows.write(path, after.values())
    known = protocols(folder) | {track.name: protocol(track)}
    write_whole(folder / PROTOCOLS, json.dumps(known, indent=1, sort_keys=True) + "\n")
    return len(after), len(changed)


def protocol(track: Track) -> str:
    """A hash of all that results under a track's name have in common: not its words, how many
    seeds, who competes, or how many images are certified, by which nothing is ranked.
    """
    registry = Registry()
    free = {"name", "title", "notes", "reported", "seeds", "entry", "certified_examples"}
    data = track.model_dump(mode="json", exclude=free)
    data["dataset"] = registry.dataset(track.dataset).identity
    data["architectures"] = {
        name: registry.architecture(name).identity for name in sorted(track.architectures)
    }
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def protocols(folder: Path) -> dict[str, str]:
    """Track → digest of the protocol that its rows were run under. Raises InputError where the file
    is damaged.
    """
    path = folder / PROTOCOLS
    if not path.exists():
        return {}
    try:
        return _PROTOCOLS.validate_json(read_whole(path, LARGEST))
    except ValidationError as error:
        raise InputError(
            f"{shown(path)}: is no table of protocols ({error.errors()[0]['msg']}); take it back "
            "from where it came"
        ) from None


def check_protocol(track: Track, folder: Path) -> None:
    """Raises InputError where the track has results that were run under another protocol than its
    present one.
    """
    if protocols(folder).get(track.name, protocol(track)) != protocol(track):
        base, _, version = track.name.partition("@")
        raise InputError(
            f"track {track.name}: its protocol differs from that of its registered results; keep "
            f"it, and put the new one under the name {base}@{int(version or 1) + 1}"
        )


def reduced(outcome: Outcome, track: Track, parts: Iterable[Part]) -> Outcome:
    """The outcome with the track's own parts alone and a sample of its per-example values.

    Whole and exact are only the values from which `regbench rank` draws images: those of the
    attacks within the headline's norm and ε, and of both sides, certificates, which no attack may
    break, and the nearest adversarial images found.
    """
    wanted = {part.id: part for part in parts}
    both_sides = {part.name for part in track.certificates(track.test_examples)}
    kept = []
    for column in outcome.examples:
        part = wanted.get((column.threat, column.split, column.examples))
        if part is None:
            continue
        ranks = column.split == "test" and column.metric in ("correct", track.headline_metric)
        if (ranks and track.within_headline(part)) or part.name in both_sides:
            kept.append(column.model_copy(update={"values": column.values[: track.test_examples]}))
        elif outcome.seed < SAMPLED_SEEDS:
            values = tuple(float(f"{value:.{DIGITS}g}") for value in column.values[:SAMPLE])
            kept.append(column.model_copy(update={"values": values}))
    scores = tuple(
        score
        for score in outcome.scores
        if (score.threat, score.split, score.examples) in wanted or score.threat == TRAINING
    )
    return outcome.model_copy(update={"scores": scores, "examples": tuple(kept)})


def export_selection(chosen: Iterable[tuple[Track, Trial]]) -> dict[str, tuple[int, int]]:
    """Exports every track of a selection from this home to the results of the registry that it is
    of: track → rows, new ones.

    Raises InputError where that would be in the installed package.
    """
    by_track: dict[str, tuple[Track, list[Trial]]] = {}
    for track, trial in chosen:
        by_track.setdefault(track.name, (track, []))[1].append(trial)
    return {
        name: export(track, trials, home(), _results_of(track))
        for name, (track, trials) in by_track.items()
    }


def _results_of(track: Track) -> Path:
    """Where a track's rows are kept: $REGBENCH_RESULTS, or results/ of the registry it is in."""
    if "REGBENCH_RESULTS" in os.environ:
        return registered.results()
    registry = Registry().track_files[track.name].parents[1]
    if registry == HERE and clone() is None:
        raise InputError(
            "export: the package is installed, not a clone; set REGBENCH_RESULTS to the folder in "
            "which to write"
        )
    return registry / "results"
