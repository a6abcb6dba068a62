"""The standings under readable headings, those that match a search, and who leads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from benchmark.ranking.both_sides import WIDE_GAP
from benchmark.ranking.placement import diverged, other_strengths, place, tied
from benchmark.records.reports import Compared
from registry.spec import Track

from ..words.labels import columns_of, percent, plain, radius, width
from ..words.style import Style

WORST = "Worst case"
CERTIFIED = "Certified"
OTHER_SEEDS = "*"  # beside a λ at which not all seeds are scored
OWN = {"background-color": "rgba(31,119,208,0.18)"}  # how the reader's own row stands out
METHOD_WIDTH = 132  # pixels, at least
RERUN = {
    "exact": "came out the same to the last bit",
    "within rounding": "within rounding",
    "drifted": "drifted",
}


def headings(track: Track) -> dict[str, str]:
    """The columns with an interval, the one that ranks first."""
    columns = columns_of(track) | {"worst": WORST, "certified": CERTIFIED}
    first = (track.ranking, "clean")
    return {column: columns[column] for column in dict.fromkeys((*first, *columns))}


def names_of(track: Track, rows: pd.DataFrame) -> dict[str, str]:
    """Column → heading, in the order shown: on a small screen the rank, the method and the score
    that ranks are seen, on a wide one its cost, source and tier as well.
    """
    columns = headings(track)
    if not rows["worst"].notna().any() and track.ranking != "worst":
        columns.pop("worst")
    if not rows["certified"].notna().any():
        columns.pop("certified")
    first = {column: columns.pop(column) for column in (track.ranking, "clean")}
    facts = {"lambda": "λ", "cost": "Cost ×", "source": "Source", "tier": "Tier", "seeds": "Seeds"}
    if rows["diverged"].any():
        facts["diverged"] = "Diverged"
    if (rows["gap"] > WIDE_GAP).any():
        facts["gap"] = "Gap"
    told = {"challenged": "Challenged by", "flags": "Flags", "why": "Note"}
    told = {column: heading for column, heading in told.items() if (rows[column] != "").any()}
    return {"rank": "Rank", "regularizer": "Method"} | first | facts | columns | told


def cells(row: Mapping[Any, Any], names: Mapping[str, str], style: Style) -> dict[str, str]:
    """What a row's numbers read as: `75.2 [74.0, 76.4] %`, `1–3`, `8/255`."""
    found = {
        heading: percent(row[column], row[f"{column}_low"], row[f"{column}_high"])
        for column, heading in names.items()
        if f"{column}_low" in row
    }
    if pd.notna(row["rank"]):
        found["Rank"] = place(row["rank"], row["rank_high"])
    elif row["would_be"]:
        found["Rank"] = f"would be {row['would_be']}"
    if "diverged" in names:
        found["Diverged"] = diverged(row)
    if "gap" in names:
        found["Gap"] = f"{100 * row['gap']:.1f}" if row["gap"] > WIDE_GAP else ""
    if pd.notna(row["lambda"]):
        mark = OTHER_SEEDS if other_strengths(row) else ""
        found["λ"] = style.strength(row["lambda"]).removeprefix("λ = ") + mark
    return found


def shown(rows: pd.DataFrame, track: Track, styles: Mapping[str, Style], mine: str = "") -> Styler:
    """The standings; a cell shows its number with the interval and sorts by the number: that of a
    claim by the best rank that it would have. The rows of one method stand out.
    """
    names = names_of(track, rows)
    rows = rows.astype({"lambda": float}).reset_index(drop=True)
    would_be = rows["would_be"].str.partition("–")[0]
    values = rows.assign(rank=rows["rank"].fillna(pd.to_numeric(would_be).astype("Int64")))
    style = values[list(names)].rename(columns=names).style.format({"Cost ×": "{:.1f}"})
    for i, row in enumerate(rows.to_dict("records")):
        told = cells(row, names, styles[row["regularizer"]])
        as_told: dict[Any, Any] = {
            heading: lambda _, text=text: text for heading, text in told.items()
        }
        style = style.format(as_told, subset=([i], list(told)))
    own = rows.index[rows["regularizer"] == mine].tolist()
    return style.set_properties(subset=(own, list(names.values())), **OWN) if own else style


def written(rows: pd.DataFrame, track: Track, styles: Mapping[str, Style]) -> pd.DataFrame:
    """The same as text, for a paper."""
    names = names_of(track, rows)
    table = [
        {heading: row[column] for column, heading in names.items()}
        | cells(row, names, styles[row["regularizer"]])
        for row in rows.to_dict("records")
    ]
    found = pd.DataFrame(table, columns=list(names.values()))
    costs = [f"{cost:.1f}" if np.isfinite(cost) else "" for cost in found["Cost ×"]]
    return found.assign(**{"Cost ×": costs}).fillna("")


def matching(
    table: pd.DataFrame, search: str, ranked_only: bool, title_of: Callable[[str], str]
) -> pd.DataFrame:
    """The rows whose method, title, tier, source, flags or note hold every word of the search."""
    columns = ["regularizer", "tier", "source", "flags", "why"]
    words, keep = search.casefold().split(), []
    for row in table[[*columns, "rank"]].to_dict("records"):
        text = " ".join([title_of(row["regularizer"]), *(row[column] for column in columns)])
        found = all(word in text.casefold() for word in words)
        keep.append(found and (pd.notna(row["rank"]) or not ranked_only))
    return table[pd.Series(keep, index=table.index, dtype=bool)]


def elsewhere(rows: pd.DataFrame) -> str:
    """Which methods have seeds that are scored at another λ than the row's, in a sentence; "" where
    none.
    """
    found = [
        f"{row['regularizer']} at {others}"
        for row in rows[rows["rank"].notna()].to_dict("records")
        if (others := other_strengths(row))
    ]
    if not found:
        return ""
    return f"{OTHER_SEEDS} Seeds for which the others choose another λ: {'; '.join(found)} seeds."


def widths(rows: pd.DataFrame, on_a_phone: bool) -> dict[str, int]:
    """Of the first two columns, in pixels: every name is read in full, but on a phone, where the
    score that ranks would be out of sight.
    """
    return {
        "Rank": 52 if (rows["would_be"] == "").all() else 104,
        "Method": METHOD_WIDTH if on_a_phone else max(METHOD_WIDTH, width(rows["regularizer"])),
    }


def orders(track: Track) -> dict[str, str]:
    """Columns that the rows may be sorted by → how they are headed."""
    return {"rank": "Rank", "regularizer": "Method"} | headings(track) | {"cost": "Cost ×"}


def in_order(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """The rows, on each network the best first by one column, names by the alphabet; by rank they
    are already.
    """
    if column == "rank":
        return rows
    rising = column in ("regularizer", "cost")
    networks = list(dict.fromkeys(rows["architecture"]))
    return (
        rows.assign(network=rows["architecture"].map(networks.index))
        .sort_values(["network", column], ascending=[True, rising], kind="stable")
        .drop(columns="network")
    )


def leaders(rows: pd.DataFrame, track: Track) -> str:
    """Who wins, and whether that is more than chance, in a sentence."""
    first = rows[rows["rank"] == 1]
    if first.empty:
        return ""
    best = first.iloc[0]
    column = track.ranking
    score = percent(*(best[name] for name in (column, f"{column}_low", f"{column}_high")))
    said = f"**{plain(best['regularizer'])}** leads with {score}, clean {percent(best['clean'])}"
    ties = tied(first, lambda name: f"**{plain(name)}**")
    if ties:
        return f"{said}; {ties} cannot be told apart from the best."
    if (rows["rank"] > 1).any():
        return f"{said}; every other ranked method is told apart from it."
    return f"{said}."


def reported(track: Track) -> pd.DataFrame:
    """What papers report of the track."""
    headings = columns_of(track)
    rows = [
        {
            "Paper": result.paper,
            "Architecture": result.architecture,
            "Method": result.regularizer,
            "λ": None if result.strength is None else radius(result.strength),
            "Score": headings.get(result.metric, result.metric),
            "Value": f"{result.value:.3g} nats"
            if result.metric.startswith("loss")
            else percent(result.value, *result.ends),
        }
        for result in track.reported
    ]
    return pd.DataFrame(rows)


def rerun_in_words(rows: Sequence[Compared]) -> str:
    """`3 came out the same to the last bit, 1 drifted`."""
    counts = Counter(row.verdict for row in rows)
    told = [f"{counts[verdict]} {words}" for verdict, words in RERUN.items() if counts[verdict]]
    return ", ".join(told)


def drifted(rows: Sequence[Compared]) -> pd.DataFrame:
    """The rows that a rerun did not repeat, by how much and in what."""
    found = [
        {
            "Entry": row.entry,
            "Seed": row.seed,
            "Drift (spreads of rounding)": row.drift,
            "What": row.why,
        }
        for row in rows
        if row.verdict == "drifted"
    ]
    return pd.DataFrame(found)
