"""new, check, submit, verify: from an idea to a verified row."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry.load import Registry
from registry.places import CHALLENGES, TEMPLATE, submissions
from registry.read import shown
from registry.spec import InputError

from . import app
from .console import print_json
from .options import CORES, Json, Seeds, Trust, Workers

if TYPE_CHECKING:
    from ..records.outcome import Outcome
    from ..records.reports import CheckReport

PathToOne = Annotated[
    Path,
    typer.Argument(metavar="PATH", help="The submission's folder, such as submissions/my_method."),
]


@app.command(epilog="Example: regbench new my_method")
def new(
    name: Annotated[
        str, typer.Argument(help="The method's name: lower-case letters, digits and underscores.")
    ],
    into: Annotated[
        Path | None,
        typer.Option(help="The folder in which to make it, if not that of submissions."),
    ] = None,
) -> None:
    """Start a submission: a folder with a method that works as it is, to be edited."""
    folder = (into or submissions()) / name
    if (
        not name.isascii()
        or not name.replace("_", "a").isalnum()
        or name != name.lower()
        or not name[:1].isalpha()
    ):
        raise InputError(
            f"new: {name!r} must be lower-case letters, digits and underscores, and begin with a "
            "letter"
        )
    if folder.exists() or name == CHALLENGES or name in Registry().regularizer_folders:
        raise InputError(f"new: {name!r} is taken; choose another name")
    shutil.copytree(TEMPLATE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    card = folder / "card.toml"
    card.write_text(card.read_text().replace('"NAME"', f'"{name}"'))
    place = shown(folder.resolve())
    print(
        f"{place} is a method that works. Edit\n"
        f"  {place}/regularizer.py   the penalty: ten lines, one value an example\n"
        f"  {place}/card.toml        what it is: replace every TODO\n"
        f"  {place}/entries.toml     the tracks that it joins, and its λ there\n"
        f"Then: regbench check {place}"
    )


@app.command(epilog="Example: regbench check submissions/my_method")
def check(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH]...", help="Submissions' folders.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every submission in submissions/.")
    ] = False,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Say whether submissions are sound; their code runs in a sandbox. Ends with 1 if not."""
    from ..records import home
    from ..review import check as checking

    if bool(paths) == everything:
        raise InputError("check: give the paths of submissions, or --all")
    reports = []
    for path in paths or checking.folders(submissions()):
        report = checking.examine(path, trusted=trust)
        report.write(home())
        reports.append(report)
        if not as_json:
            _print_report(report)
    if as_json:
        print_json([report.as_json() for report in reports])
    if not all(report.ok for report in reports):
        raise typer.Exit(1)


def _print_report(report: CheckReport) -> None:
    for finding in report.findings:
        print(
            f"{'ok  ' if finding.ok else 'FAIL'}  {finding.check}"
            + (f": {finding.detail}" if finding.detail else "")
        )
    print(report.verdict, flush=True)


@app.command(epilog="Example: regbench submit submissions/my_method --seeds 3")
def submit(
    path: PathToOne, seeds: Seeds = None, workers: Workers = CORES, trust: Trust = False
) -> None:
    """Check, run the method on its tracks, at the selected λ under the attacks that the others
    there are ranked by, write results.jsonl, as claimed, and say where it stands.
    """
    from ..review import check as checking
    from ..review import results
    from ..review import submit as submitting

    report = checking.examine(path, trusted=trust)
    _print_report(report)
    stale = [
        finding
        for finding in report.findings
        if not finding.ok and finding.check.startswith("results.jsonl")
    ]
    if len(stale) < sum(
        not finding.ok for finding in report.findings
    ):  # rows of older code are about to be replaced
        raise typer.Exit(1)
    registry, name = checking.registry_of(path), path.resolve().name
    outcomes = submitting.run(registry, name, seeds, workers, trust)
    _refuse_failures(outcomes)
    file = results.write(
        registry, name, submitting.with_hashes(outcomes, path.resolve()), "claimed"
    )
    print(
        f"{shown(file)}: {len(outcomes)} trials, claimed. Commit the folder and open a pull "
        "request; a maintainer's `regbench verify` repeats them."
    )
    for line in submitting.where_it_stands(registry, name):
        print(line)


@app.command(epilog="Example: regbench verify submissions/my_method")
def verify(path: PathToOne, workers: Workers = CORES, trust: Trust = False) -> None:
    """Repeat a submission's results in the sandbox: mark them as verified, or list the differences
    and end with 1.
    """
    from .. import sandbox
    from ..review import check as checking
    from ..review import repetition, results
    from ..review import submit as submitting
    from ..review.plausibility import sound

    registry, name = checking.registry_of(path), path.resolve().name
    if name not in registry.regularizer_folders:
        raise InputError(f"{shown(path)}: is no submission: it has no card.toml")
    if not trust:
        sandbox.require()
    file = results.path_of(registry, name)
    if not file.exists():
        raise InputError(f"{shown(file)}: is missing; `regbench submit` writes it")
    print(sound(registry, name))
    claimed = results.read(file)
    found, untrue = submitting.repeat(registry, name, claimed, workers, trust)
    _refuse_failures(found)
    for flag, count in Counter(flag for row in found for flag in row.flags).items():
        print(f"{name}: {count} of {len(found)} trials are flagged {flag}")
    if not registry.regularizer(name).card.exact_gradient:
        print(
            f"{name}: its gradient is not its penalty's, says its card; read what it holds constant"
        )
    differences = [*repetition.differences(claimed, found), *untrue]
    for difference in differences:
        print(difference)
    within = f"{repetition.TOLERANCE:g}"
    if differences:
        print(
            f"{name}: {len(differences)} differences beyond {within}, or of its gradient; it stays "
            "claimed"
        )
        raise typer.Exit(1)
    results.write(registry, name, submitting.with_hashes(found, path.resolve()), "verified")
    print(f"{name}: verified: {len(found)} trials repeated, every mean within {within}")


def _refuse_failures(outcomes: list[Outcome]) -> None:
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    if failed:
        print(f"{len(failed)} of {len(outcomes)} trials failed, the first: {failed[0].error}")
        raise typer.Exit(1)
