"""What is proven of each method at its selected λ, beside what no attack has broken."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

import pandas as pd

from registry.spec import Track, Trial

from ...records.store import Store
from ..brackets import at_selected, brackets
from . import markdown
from .budget import short_names

CONTROL = "none"
NARROW = 0.02  # between the two ends
HEADER = """## Proven, and not yet broken

Of the first test images the share that linear bounds certify within ε, and the share that no attack
within ε has broken, in percent, means over seeds, each method at its selected λ: the accuracy
against a perfect attack lies between the two.
"""


def section(
    tracks: Iterable[tuple[Track, Sequence[Trial]]],
    store: Store,
    board: Callable[[Track], pd.DataFrame],
) -> str:
    """Markdown: of each track and network with certificates a sentence and a table; "" where there
    are none.

    Args:
        board: as `ranking.board` gives it, of one of the tracks.
    """
    found = [text for track, trials in tracks for text in _networks(track, trials, store, board)]
    return "\n".join([HEADER, *found]) if found else ""


def _networks(
    track: Track,
    trials: Sequence[Trial],
    store: Store,
    board: Callable[[Track], pd.DataFrame],
) -> Iterable[str]:
    known = brackets(track, trials, store)
    if known["certified"].isna().all():
        return
    for architecture, standings in board(track).groupby("architecture", sort=False):
        mine = [trial for trial in trials if trial.entry.architecture == architecture]
        both = at_selected(mine, known, standings).dropna(subset=["certified"])
        if len(both):
            norm = markdown.NORMS[track.headline_threat.norm]
            seeds, images = both["seeds"].max(), both["images"].max()
            flagged = set(standings.loc[standings["flags"] != "", "regularizer"])
            yield (
                f"### {track.name}, {architecture}, {norm}\n\n{seeds} seeds, {images:g} images. "
                f"{said(both)}\n\n{_table(both, flagged)}"
            )


def said(both: pd.DataFrame) -> str:
    """Where the two ends meet, where a regularizer proves most, and whether the one that proves
    most stands best.

    Args:
        both: as `at_selected` gives it, of one network; all certified.
    """
    if not both["certified"].any():
        return "Linear bounds prove nothing of any method at these ε."
    ends = _ends(both)
    names = short_names(list(dict.fromkeys(both["method"])))
    least = min(ends)
    narrow = sum(high - low < NARROW + 1e-9 for low, high in ends[least].values())
    words = [
        f"At ε = {least:g} the ends are within {100 * NARROW:g} points of each other for {narrow} "
        f"of {len(ends[least])} methods."
    ]
    proven = {at: max(mine, key=lambda name: mine[name][0]) for at, mine in ends.items()}
    stands = {at: max(mine, key=lambda name: mine[name][1]) for at, mine in ends.items()}
    gains = {at: mine[proven[at]][0] - mine.get(CONTROL, (1,))[0] for at, mine in ends.items()}
    at = max(gains, key=gains.__getitem__)
    if gains[at] > 0:
        words.append(
            f"The proven share gains most at ε = {at:g}: "
            f"from {100 * ends[at][CONTROL][0]:.1f} % with {CONTROL} "
            f"to {100 * ends[at][proven[at]][0]:.1f} % with {names[proven[at]]}."
        )
    apart = {at: mine[proven[at]][0] - mine[stands[at]][0] for at, mine in ends.items()}
    at = max(apart, key=apart.__getitem__)
    if apart[at] > 0:
        most, best = (f"{names[x]} ({_told(*ends[at][x])})" for x in (proven[at], stands[at]))
        words.append(
            f"At ε = {at:g} one method has the most images proven, {most}, and another the most "
            f"unbroken, {best}."
        )
    return " ".join(words)


def _ends(both: pd.DataFrame) -> dict[float, dict[str, tuple[float, float]]]:
    """ε, rising → method → share that is proven and share that stands."""
    found: dict[float, dict[str, tuple[float, float]]] = {}
    for row in both.sort_values("epsilon", kind="stable").to_dict("records"):
        ends = float(row["certified"]), float(row["worst"])
        found.setdefault(float(row["epsilon"]), {})[row["method"]] = ends
    return found


def _told(certified: float, worst: float) -> str:
    return f"{100 * certified:.1f}–{100 * worst:.1f}"


def _table(both: pd.DataFrame, flagged: Collection[str]) -> str:
    methods, ends = list(dict.fromkeys(both["method"])), _ends(both)
    names = short_names(methods)
    rows = [
        [
            f"{names[method]}{' (flagged)' * (method in flagged)}",
            *(_told(*mine[method]) if method in mine else "" for mine in ends.values()),
        ]
        for method in methods
    ]
    return markdown.table(["Method", *(f"ε = {radius:g}" for radius in ends)], rows)
