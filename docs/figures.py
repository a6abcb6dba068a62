"""The figures of the pages: the app's own, of registered rows, drawn in the reader's browser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from benchmark.ranking.paper_claims.budget import short_names
from benchmark.ranking.sweep import labelled
from benchmark.records.store import Store
from leaderboard_app.figures import intervals, pareto
from leaderboard_app.figures.canvas import with_room
from leaderboard_app.tables import equivalence
from leaderboard_app.tables.matched import CROSS_LIPSCHITZ, LIPSCHITZ, matched
from leaderboard_app.words.labels import axis_title, columns_of
from leaderboard_app.words.style import Style, styles
from registry.load import Registry
from registry.spec import Track

SCRIPT = "assets/plotly.min.js"
TWO_CLASSES = "guo-fashion-binary"  # where µ² and Ω are compared at equal λ
MARGIN = 2.0  # points


def script() -> bytes:
    """What draws them, of the installed plotly: nothing comes from elsewhere."""
    return get_plotlyjs().encode()


def style_of(registry: Registry) -> dict[str, Style]:
    """A method looks as in the app."""
    entries = [entry for name in registry.track_names for entry in registry.entries(name)]
    cards = {name: registry.regularizer(name).card for name in registry.regularizer_folders}
    radii = {name for name, card in cards.items() if card.lambda_means.startswith("radius ε")}
    return styles({entry.regularizer for entry in entries} | set(cards), radii)


def trade_offs(track: Track, board: pd.DataFrame, look: Mapping[str, Style]) -> str:
    """Robust against clean accuracy on each network that has run, as HTML."""
    column = track.ranking
    found = []
    for network, rows in board.groupby("architecture", sort=False):
        if (rows["clean"].notna() & rows[column].notna()).sum() > 1:
            drawn = pareto.pareto(rows, column, look, network, axis_title(track, column))
            names = short_names(list(rows["regularizer"]))
            drawn.for_each_trace(lambda trace, names=names: _rename(trace, names))
            found.append(_html(drawn))
    return "".join(found)


def _rename(trace: Any, names: Mapping[str, str]) -> None:
    trace.update(name=names.get(trace.name, trace.name))


def equivalences(registry: Registry, store: Store, look: Mapping[str, Style]) -> str:
    """The paired difference of µ² and Ω over λ under the attack that ranks, as HTML."""
    track = registry.track(TWO_CLASSES)
    trials = [trial for _, trial in registry.select([track.name])]
    rows = labelled(trials, store.scores({trial.key for trial in trials}))
    classes = registry.dataset(track.dataset).num_classes
    return "".join(map(_html, _differences(track, rows, classes, look)))


def _differences(
    track: Track, rows: pd.DataFrame, classes: int, look: Mapping[str, Style]
) -> Iterator[go.Figure]:
    for network, mine in rows.groupby("architecture", sort=False):
        pairs = equivalence.paired(matched(mine, classes), LIPSCHITZ, CROSS_LIPSCHITZ)
        tests, _ = equivalence.tests(pairs, columns_of(track), MARGIN / 100)
        headline = tests[tests["column"] == track.headline]
        if len(headline):
            title = f"{network}: µ² less Ω, {columns_of(track)[track.headline]}"
            colour = look[CROSS_LIPSCHITZ].colour
            yield intervals.paired(headline, MARGIN, title, "λ", "Difference (points)", colour)


def _html(found: go.Figure) -> str:
    two_columns = {"entrywidth": 0.48, "entrywidthmode": "fraction", "font": {"size": 11}}
    with_room(found).update_layout(template="plotly_white", legend=two_columns)
    return found.to_html(
        full_html=False,
        include_plotlyjs=False,
        config={"displaylogo": False, "responsive": True},
    )
