"""The page of verdicts, registry/results/README.md.

Every number is computed here, from rows alone. A claim that did not hold is said not to have held.
"""

from __future__ import annotations

from dataclasses import dataclass

from registry.load import Registry
from registry.write import write_whole

from ...records import registered
from ...records.home import home
from ...records.store import Store
from ..verdict import Verdict, verdict
from . import guo, hoelder, roth, wen
from .rows import Claim, Rows

CLAIMS: tuple[Claim, ...] = (*guo.CLAIMS, *wen.CLAIMS, *hoelder.CLAIMS, *roth.CLAIMS)
HEADER = """# What the registered results say

`python -m benchmark.ranking.paper_claims` computes this page from the rows beside it; a
test compares the two.
A claim is shown, refuted, not decided (with the seeds that a power of 80 % would take) or not run:
shown where all that it asks holds, each at its own level; refuted where one part does not, at 5 %
for all its λ and scores together (Holm). Intervals are Student's 95 % over seeds, of differences
paired by seed. A verdict is about these tracks, small nets on small data, and nothing else.

| Claim | Verdict | Numbers |
|---|---|---|
"""


@dataclass(frozen=True)
class ClaimVerdict:
    """A claim in words, its verdict, and the numbers that it rests on."""

    claim: str
    verdict: Verdict
    numbers: str


def verdicts(store: Store) -> list[ClaimVerdict]:
    """Every claim's, by the rows of `store`."""
    return [_verdict(claim, Rows(Registry().track(claim.track), store)) for claim in CLAIMS]


def _verdict(claim: Claim, rows: Rows) -> ClaimVerdict:
    if not rows.complete:
        found, numbers = Verdict("not run"), "fewer than two seeds have run"
    elif claim.learns and not rows.learnt(claim.learns):
        method = claim.learns.replace("_", " ")
        found, numbers = Verdict("not decided"), f"no strength of {method} reaches the clean floor"
    else:
        questions, numbers = claim.judge(rows)
        found = verdict(questions)
    return ClaimVerdict(claim.words, found, f"{claim.track}: {numbers}")


def render(found: list[ClaimVerdict]) -> str:
    """The page, Markdown."""
    return HEADER + "".join(f"| {f.claim} | {f.verdict} | {f.numbers} |\n" for f in found)


def main() -> None:
    """Writes the page beside the rows."""
    path = registered.database(home())
    if path is None:
        raise SystemExit(
            f"no registered results in {registered.results()}: `regbench export` writes them"
        )
    write_whole(registered.results() / "README.md", render(verdicts(Store(path))))
    print(f"wrote {registered.results() / 'README.md'}")
