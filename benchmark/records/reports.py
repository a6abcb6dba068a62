"""What `regbench check` and `regbench rerun` found, as files in the home that the app reads. Loads
no torch.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from registry.read import shown
from registry.spec import InputError
from registry.write import write_whole

CHECKS = "checks"  # in the home: the last report on each submission
RERUN = "rerun.json"  # in the home: the last rerun's verdicts


@dataclass(frozen=True)
class Finding:
    """What a check of a submission found: `detail` says why not, or a number worth reading."""

    check: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True)
class CheckReport:
    """All findings about one submission."""

    name: str
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return all(finding.ok for finding in self.findings)

    @property
    def verdict(self) -> str:
        """One line."""
        failed = [finding for finding in self.findings if not finding.ok]
        if not failed:
            return f"{self.name}: passes {len(self.findings)} checks"
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        return f"{self.name}: fails: {failed[0].check}: {failed[0].detail}{more}"

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "ok": self.ok,
            "verdict": self.verdict,
            "findings": [asdict(finding) for finding in self.findings],
        }

    def write(self, home: Path) -> None:
        """Where `last_checks` finds it."""
        (home / CHECKS).mkdir(parents=True, exist_ok=True)
        write_whole(home / CHECKS / f"{self.name}.json", json.dumps(self.as_json()))


def last_checks(home: Path) -> list[CheckReport]:
    """What `regbench check` last said in a home, by name. Raises InputError where a file is
    damaged.
    """
    found = []
    for path in sorted((home / CHECKS).glob("*.json")):
        try:
            said = json.loads(path.read_text(errors="replace"))
            found.append(
                CheckReport(said["name"], [Finding(**finding) for finding in said["findings"]])
            )
        except (ValueError, KeyError, TypeError):
            raise InputError(
                f"{shown(path)}: is no report of a check; delete it, `regbench check` writes "
                "another"
            ) from None
    return found


Verdict = Literal["exact", "within rounding", "drifted"]
VERDICTS: tuple[Verdict, ...] = ("exact", "within rounding", "drifted")


class Compared(BaseModel):
    """One registered row against its rerun.

    verdict: "exact", every score the same to the last bit; "within rounding", on another device or
        with other versions, test scores no further apart than perturbed last bits take them;
        "drifted", all else.
    why: what differs, and by how much. spread: the standard deviation that rounding gives the test
        score that moved furthest; drift: how many of these it moved. None where they were not asked
        for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")
    key: str
    entry: str
    seed: int
    verdict: Verdict
    why: str = ""
    drift: float | None = None
    spread: float | None = None


class RerunReport(BaseModel):
    """What the last rerun found: `regbench rerun` writes it, the app shows it. `finished` is UTC,
    ISO 8601.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    finished: str
    rows: tuple[Compared, ...]

    def count(self, verdict: Verdict) -> int:
        return sum(row.verdict == verdict for row in self.rows)

    def as_json(self) -> dict[str, Any]:
        counts = {verdict: self.count(verdict) for verdict in VERDICTS}
        return json.loads(self.model_dump_json()) | counts  # where an infinite drift is null

    def write(self, home: Path) -> None:
        write_whole(home / RERUN, self.model_dump_json(indent=1))


def last_rerun(home: Path) -> RerunReport | None:
    """What the last rerun in a home found, if there was one. Raises InputError where its file is
    damaged.
    """
    path = home / RERUN
    try:
        return (
            RerunReport.model_validate_json(path.read_text(errors="replace"))
            if path.exists()
            else None
        )
    except ValidationError:
        raise InputError(
            f"{shown(path)}: is no report of a rerun; delete it, `regbench rerun` writes another"
        ) from None
