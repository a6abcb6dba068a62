"""The page of findings, registry/results/README.md: the board of all methods, the verdicts on the
papers' claims, their numbers beside ours, and what is proven of each method.

Every number is computed here, from rows alone. A claim that did not hold is said not to have held.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache

import pandas as pd

from registry.load import Registry
from registry.write import write_whole

from ...records import registered
from ...records.home import home
from ...records.store import Store
from ..board import board
from ..verdict import Verdict, verdict
from . import budget, guo, hoelder, markdown, proven, reported, roth, wen
from .rows import Claim, Rows

CLAIMS: tuple[Claim, ...] = (*guo.CLAIMS, *wen.CLAIMS, *hoelder.CLAIMS, *roth.CLAIMS)
HEADER = """# What the registered results say

`python -m benchmark.ranking.paper_claims` computes this page from the rows beside it and those that
submissions claim; a test compares the two.
"""
CLAIMED = """## What the papers claim, and what these rows say

Ω is what `cross_lipschitz` penalises, µ² what `jacobian` does; v₁ is the direction in which the
logits move fastest, ‖H‖ the norm of an input Hessian. Guo et al.: On Connections between
Regularizations for Improving DNN Robustness, TPAMI 2020. Wen, Li & Jia: Towards Understanding the
Regularization of Adversarial Robustness on Neural Networks, ICML 2020. Cross-Hölder: Mustafa,
Vandermeulen & Kloft, Input Hessian Regularization of Neural Networks, 2020. Roth, Kilcher &
Hofmann: Adversarial Training is a Form of Data-dependent Operator Norm Regularization, NeurIPS
2020.

A claim is shown, refuted, not decided (with the seeds that a power of 80 % would take) or not run:
shown where all that it asks holds, each at its own level; refuted where one part does not, at 5 %
for all its λ and scores together (Holm). Intervals are Student's 95 % over seeds, of differences
paired by seed. A verdict is about these tracks, small nets on small data, and nothing else.

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
    if not rows.architectures:
        found, numbers = Verdict("not run"), "fewer than two seeds have run"
    elif claim.learns and not rows.learnt(claim.learns):
        method = claim.learns.replace("_", " ")
        found, numbers = Verdict("not decided"), f"no strength of {method} reaches the clean floor"
    else:
        questions, numbers = claim.judge(rows)
        found = verdict(questions)
    return ClaimVerdict(claim.words, found, f"{claim.track}: {numbers}")


def render(store: Store) -> str:
    """The page, Markdown."""
    registry = Registry()
    tracks = {name: registry.track(name) for name in registry.track_names}
    trials = {name: [trial for _, trial in registry.select([name])] for name in tracks}

    @cache
    def standings(name: str) -> pd.DataFrame:
        return board(tracks[name], trials[name], store)

    sections = (
        HEADER,
        budget.section(tracks[budget.TRACK], standings(budget.TRACK)),
        _claimed(verdicts(store)),
        reported.section(Rows(track, store) for track in tracks.values() if track.reported),
        proven.section(
            ((track, trials[name]) for name, track in tracks.items()),
            store,
            lambda track: standings(track.name),
        ),
    )
    return "\n".join(filter(None, sections))


def _claimed(found: list[ClaimVerdict]) -> str:
    """Markdown: how many claims have which verdict, and a table of all."""
    tally = Counter(one.verdict.word for one in found)
    told = ", ".join(f"{count} {word}" for word, count in tally.most_common())
    rows = ((one.claim, str(one.verdict), one.numbers) for one in found)
    table = markdown.table(("Claim", "Verdict", "Numbers"), rows)
    return f"{CLAIMED}{len(found)} claims: {told}.\n\n{table}"


def main() -> None:
    """Writes the page beside the rows."""
    path = registered.database(home())
    if path is None:
        raise SystemExit(
            f"no registered results in {registered.results()}: `regbench export` writes them"
        )
    write_whole(registered.results() / "README.md", render(Store(path)))
    print(f"wrote {registered.results() / 'README.md'}")
