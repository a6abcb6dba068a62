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
from . import guo, hoelder, roth, wen
from .rows import Claim, Rows

CLAIMS: tuple[Claim, ...] = (*guo.CLAIMS, *wen.CLAIMS, *hoelder.CLAIMS, *roth.CLAIMS)
HEADER = """# What the registered results say

`python -m benchmark.ranking.paper_claims` computes this page from the rows beside it; a test compares the two.
Intervals are Student's 95 % over seeds, of differences paired by seed. "Held" is about these tracks,
small nets on small data, and nothing else.

| Claim | Held | Numbers |
|---|---|---|
"""


@dataclass(frozen=True)
class ClaimVerdict:
    """`held` is None where rows are missing."""

    claim: str
    held: bool | None
    numbers: str


def verdicts(store: Store) -> list[ClaimVerdict]:
    """Every claim's, by the rows of `store`."""
    return [_verdict(claim, Rows(Registry().track(claim.track), store)) for claim in CLAIMS]


def _verdict(claim: Claim, rows: Rows) -> ClaimVerdict:
    if not rows.complete:
        held, numbers = None, "fewer than two seeds have run"
    elif claim.learns and not rows.learnt(claim.learns):
        method = claim.learns.replace("_", " ")
        held, numbers = None, f"no strength of {method} reaches the clean floor"
    else:
        held, numbers = claim.judge(rows)
    return ClaimVerdict(claim.words, held, f"{claim.track}: {numbers}")


def render(found: list[ClaimVerdict]) -> str:
    """The page, Markdown."""
    words = {True: "yes", False: "no", None: "–"}
    return HEADER + "".join(f"| {f.claim} | {words[f.held]} | {f.numbers} |\n" for f in found)


def main() -> None:
    """Writes the page beside the rows."""
    path = registered.database(home())
    if path is None:
        raise SystemExit(
            f"no registered results in {registered.results()}: `regbench export` writes them"
        )
    write_whole(registered.results() / "README.md", render(verdicts(Store(path))))
    print(f"wrote {registered.results() / 'README.md'}")
