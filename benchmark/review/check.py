"""`regbench check`: is a submission sound? Files, card, entries and results are read here; its code
runs in the sandbox.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from registry.load import Registry
from registry.places import CHALLENGES, HERE
from registry.read import SUBMISSION_FILES, require_files_of_a_submission, shown
from registry.spec import Card, Entry, InputError, Method

from .. import sandbox
from ..records.reports import CheckReport, Finding
from ..sandbox import Limits, SandboxError
from ..sandbox.process import MIB, Child, line
from . import plausibility

LARGEST_CODE = 100_000  # bytes: one idea, one file
LIMITS = Limits(wall_seconds=300, cpu_seconds=120, memory=4096 * MIB)


def folders(root: Path) -> list[Path]:
    """Every submission in a folder; names that begin with _ or . are none, nor is the folder of
    challenges. Raises InputError where there is no such folder.
    """
    if not root.is_dir():
        raise InputError(f"{shown(root)}: is no folder; `regbench new NAME` makes one")
    found = (path for path in root.iterdir() if path.is_dir() and path.name[0] not in "_.")
    return sorted(path for path in found if path.name != CHALLENGES)


def registry_of(folder: Path) -> Registry:
    """The registered things and this submission alone. Raises InputError where it is no folder."""
    folder = folder.resolve()
    if not folder.is_dir():
        raise InputError(f"{shown(folder)}: is no folder; `regbench new NAME` makes one")
    return Registry(HERE, folder.parent, folder.name)


def examine(folder: Path, *, trusted: bool = False, limits: Limits = LIMITS) -> CheckReport:
    """All that can be said of a submission. It stops early only where nothing further can be asked.

    Raises InputError where the folder is none, or there is no sandbox and `trusted` is not given.
    """
    registry = registry_of(folder)
    if not trusted:
        sandbox.require()
    folder = folder.resolve()
    report = CheckReport(folder.name)

    def ask(check: str, find: Callable[[], str]) -> bool:
        try:
            report.findings.append(Finding(check, True, find()))
        except InputError as error:
            report.findings.append(Finding(check, False, str(error)))
        return report.findings[-1].ok

    if not (
        ask("its files are those of a submission", lambda: _files(folder))
        and ask("card.toml can be read", lambda: _card(registry, folder.name))
    ):
        return report
    method = registry.regularizer(folder.name)
    ask("card.toml has all that a reader compares", lambda: _complete(method.card))
    ask("its code is not another method's", lambda: _own_code(registry, method))
    ask(
        "entries.toml names tracks, and tunes as much as they do",
        lambda: _entries(registry, folder.name),
    )
    if (folder / "results.jsonl").exists():
        ask(
            "results.jsonl belongs to this code and its tracks, and can be true",
            lambda: plausibility.sound(registry, folder.name),
        )
    if any(
        not finding.ok and not finding.check.startswith("results") for finding in report.findings
    ):
        return report  # wrong files are mended first; rows of older code are no hindrance
    report.findings.extend(_run(registry, method, trusted, limits))
    return report


def _files(folder: Path) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", folder.name):
        raise InputError(
            f"the folder's name {folder.name!r} must be lower-case letters, digits and underscores"
        )
    require_files_of_a_submission(folder)
    for name in SUBMISSION_FILES[:3]:
        if not (folder / name).is_file():
            raise InputError(f"{name} is missing; `regbench new` makes one that works")
    size = (folder / "regularizer.py").stat().st_size
    if size > LARGEST_CODE:
        raise InputError(f"regularizer.py has {size} bytes; {LARGEST_CODE} are the most")
    return ""


def _card(registry: Registry, name: str) -> str:
    if name not in registry.regularizer_folders:
        raise InputError("card.toml is missing")
    return registry.regularizer(name).card.title


def _complete(card: Card) -> str:
    gaps = card_gaps(card)
    if gaps:
        raise InputError(f"card.toml: {gaps}")
    return ""


CARD_TEXTS = (
    "title",
    "authors",
    "paper",
    "licence",
    "formula",
    "lambda_means",
    "batch_norm",
    "extra_forwards",
    "extra_backwards",
)


def card_gaps(card: Card) -> str:
    """What a reader who compares methods would miss on a card; "" where nothing."""
    for name in CARD_TEXTS:
        if not getattr(card, name).strip() or "TODO" in getattr(card, name):
            return f"{name}: is still to be filled in"
    if card.formula.count("{") != card.formula.count("}"):
        return "formula: its braces do not match"
    if not card.is_control and (len(card.grid) != 8 or card.grid[0] == 0):
        return f"grid: needs 8 values above 0, as every method has, not {len(card.grid)}"
    return ""


def _own_code(registry: Registry, method: Method) -> str:
    for name in registry.regularizer_folders:
        other = registry.regularizer(name)
        if name != method.card.name and other.sha256 == method.sha256:
            raise InputError(
                f"regularizer.py is that of {name!r}, byte for byte: enter that method with params "
                "instead"
            )
    return ""


def _entries(registry: Registry, name: str) -> str:
    """Every method of a track chooses among equally many λ: more would be an advantage."""
    told = []
    for track_name, entries in registry.submitted_entries(name).items():
        counts = Counter((entry.architecture, entry.regularizer) for entry in entries)
        others = Counter(
            (entry.architecture, entry.regularizer)
            for entry in registry.entries(track_name)
            if entry not in entries and not _is_control(registry, entry)
        )
        usual = max(others.values(), default=None)
        for (_, regularizer), count in counts.items():
            if usual not in (None, count):
                raise InputError(
                    f"{regularizer} has {count} values of λ on track {track_name}, whose other "
                    f"methods have {usual} each: give lambda = [… {usual} values …]"
                )
        told.append(f"{len(entries)} on {track_name}")
    return ", ".join(told)


def _is_control(registry: Registry, entry: Entry) -> bool:
    method, _ = registry.method_and_params(entry.regularizer)
    return method.card.is_control


def _run(registry: Registry, submitted: Method, trusted: bool, limits: Limits) -> list[Finding]:
    """What the sandbox found and, where all is well, a short training measured outside: one child
    for all of it.
    """
    from ..sandbox import training as untrusted
    from ..sandbox.answered import Answered
    from .rehearsal import rehearsal

    findings: list[Finding] = []
    with rehearsal(registry, submitted) as short:
        started = untrusted.answering(
            short.trial,
            short.blank(),
            untrusted.batch_shape(short.images.train, short.phase),
            job="benchmark.review.inside:check",
            told={"card": submitted.card.model_dump(mode="json", exclude_none=True)},
            trusted=trusted,
            limits=limits,
        )
        try:
            with started as (child, tensors):
                findings += reported(child)
                if not all(finding.ok for finding in findings):
                    return findings
                model, noise = short.model(), untrusted.noise_of(short.trial, short.phase)
                method = Answered(child, tensors, model, noise)
                training = untrusted.trained(
                    short.trial, model, short.images.train, short.phase, method
                )
        except SandboxError as error:
            within = short.name if findings else "its code runs within the sandbox"
            return [*findings, Finding(within, False, str(error))]
        return [*findings, short.finding(training, model)]


def reported(child: Child) -> list[Finding]:
    """What a child says that it found. Raises SandboxError where that is no report of a check."""
    findings: list[Finding] = []
    while "findings" not in (item := child.hear()):
        match item.get("finding"):
            case {"check": str(check), "ok": bool(ok), "detail": str(detail)}:
                findings.append(Finding(line(check), ok, line(detail)))
            case _:
                raise SandboxError("what it answered is no report")
    if not findings:
        raise SandboxError("it reported nothing")
    return findings
