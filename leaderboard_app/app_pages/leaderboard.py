"""Which regularizer wins here, by how much, at what cost."""

from collections import Counter

import pandas as pd
import streamlit as st
from pandas.io.formats.style import Styler

from leaderboard_app import frame, plots, queries
from leaderboard_app.labels import axis_title, columns_of, percent, place, plain, quantity
from registry.spec import Track

WORST = "Worst case"
RERUN = {
    "exact": "came out the same to the last bit",
    "tolerated": "within tolerance",
    "drifted": "drifted",
}


def headings(track: Track) -> dict[str, str]:
    """The columns with an interval, the one that ranks first after clean accuracy."""
    columns = columns_of(track)
    order = [
        "clean",
        track.headline,
        *(column for column in columns if column not in ("clean", track.headline)),
    ]
    return {column: columns[column] for column in order} | {"worst": WORST}


def shown_table(rows: pd.DataFrame, track: Track) -> Styler:
    """The standings under readable headings; a cell shows `75.2 ± 1.3 %`, or `1–3`, and sorts by
    its number.
    """
    columns = {
        column: heading
        for column, heading in headings(track).items()
        if column != "worst" or rows["worst"].notna().any()
    }
    names = {
        "rank": "Rank",
        "regularizer": "Method",
        "lambda": "λ",
        **columns,
        "cost": "Cost ×",
        "tier": "Tier",
        "source": "Source",
        "seeds": "Seeds",
    }
    if (rows["flags"] != "").any():
        names["flags"] = "Flags"
    if (rows["why"] != "").any():
        names["why"] = "Note"
    rows = rows.astype({"lambda": float}).reset_index(drop=True)
    style = rows[list(names)].rename(columns=names).style.format({"λ": "{:g}", "Cost ×": "{:.1f}"})
    for i, row in enumerate(rows.to_dict("records")):
        cells = {
            heading: percent(row[column], row[f"{column}_half_width"])
            for column, heading in columns.items()
        }
        if pd.notna(row["rank"]):
            cells["Rank"] = place(row["rank"], row["rank_high"])
        for heading, text in cells.items():
            style = style.format(lambda _, text=text: text, subset=([i], [heading]))
    return style


def shown_columns(track: Track) -> dict:
    config = {
        "Rank": st.column_config.NumberColumn(
            width="small",
            help="From the best to the worst rank that a paired bootstrap over seeds and test images allows: "
            "methods that it cannot tell apart (95 %) share their first rank.",
        ),
        "Method": st.column_config.TextColumn(pinned=True),
        "λ": st.column_config.NumberColumn(
            width="small", help="Chosen on validation images, never on test."
        ),
        "Clean": st.column_config.NumberColumn(help="Accuracy on unperturbed test images."),
        WORST: st.column_config.NumberColumn(
            help="Accuracy under the union of all attacks within the norm and ε that rank."
        ),
        "Cost ×": st.column_config.NumberColumn(
            width="small", help="Training seconds of a trial relative to `none`."
        ),
        "Tier": st.column_config.TextColumn(
            width="small",
            help="quick: the track's own threats. standard: APGD as well, on "
            "the whole test set. verified: AutoAttack as well.",
        ),
        "Seeds": st.column_config.NumberColumn(
            width="small", help=f"The track asks for {track.seeds}."
        ),
        "Source": st.column_config.TextColumn(
            width="small",
            help="Whose word it is. here: run into this database. registered: rows that the repository brings. "
            "claimed: a submission's own. verified: a submission's, repeated in the sandbox.",
        ),
        "Flags": st.column_config.TextColumn(
            help="Signs that the attacks on these models cannot be believed. A flag keeps a "
            "method out of the ranking."
        ),
        "Note": st.column_config.TextColumn(width="large", help="Why a method is not ranked."),
    }
    for threat in track.threats:
        heading = columns_of(track)[threat.id]
        what = "Accuracy under" if threat.epsilon is not None else "Mean ‖r‖/‖x‖ found by"
        config[heading] = st.column_config.NumberColumn(
            help=f"{what} {threat.id}" + ("; this ranks." if threat.id == track.headline else ".")
        )
    return config


def matching(table: pd.DataFrame, search: str, ranked_only: bool) -> pd.DataFrame:
    """The rows whose method, title, tier, flags or note hold every word of the search."""
    known = queries.registry()

    def text(row: pd.Series) -> str:
        title = known.params(row["regularizer"])[0].card.title
        return f"{row['regularizer']} {title} {row['tier']} {row['source']} {row['flags']} {row['why']}".casefold()

    keep = [
        all(word in text(row) for word in search.casefold().split()) for _, row in table.iterrows()
    ]
    return table[
        pd.Series(keep, index=table.index, dtype=bool) & (table["rank"].notna() | (not ranked_only))
    ]


def leaders(rows: pd.DataFrame, track: Track) -> str:
    """Who wins, and whether that is more than chance, in a sentence."""
    first = rows[rows["rank"] == 1]
    if first.empty:
        return ""
    best = first.iloc[0]
    score = percent(best[track.headline], best[f"{track.headline}_half_width"])
    said = f"**{plain(best['regularizer'])}** leads with {score}, clean {percent(best['clean'])}"
    others = [f"**{plain(name)}**" for name in first["regularizer"].iloc[1:]]
    if others:
        return f"{said}; {', '.join(others)} cannot be told apart from the best."
    return (
        f"{said}; every other ranked method is told apart from it."
        if (rows["rank"] > 1).any()
        else f"{said}."
    )


def last_rerun(track: Track) -> None:
    """What the last `regbench rerun` said of this track's rows."""
    with frame.reading():
        report = queries.last_rerun()
    keys = {trial.key for trial in queries.trials(track)}
    mine = [] if report is None else [row for row in report.rows if row.key in keys]
    if report is None or not mine:
        st.caption(
            "`regbench rerun` repeats the registered rows and says here whether they came out again."
        )
        return
    counts = Counter(row.verdict for row in mine)
    said = ", ".join(
        f"{counts[verdict]} {words}" for verdict, words in RERUN.items() if counts[verdict]
    )
    st.markdown(
        plain(f"Last rerun, finished {report.finished}: of {len(mine)} registered rows {said}.")
    )
    drifted = [row for row in mine if row.verdict == "drifted"]
    if drifted:
        st.dataframe(
            pd.DataFrame(
                [
                    {
                        "Entry": row.entry,
                        "Seed": row.seed,
                        "Drift (seed spreads)": row.drift,
                        "What": row.why,
                    }
                    for row in drifted
                ]
            ),
            hide_index=True,
            placeholder="–",
        )


def compare(rows: pd.DataFrame, chosen: list[int], architecture: str) -> None:
    """Opens the page that compares the two methods whose rows are marked."""
    methods = rows["regularizer"].iloc[chosen].tolist()
    label = (
        f"Compare {methods[0]} with {methods[1]}"
        if len(methods) == 2
        else "Mark two rows to compare their methods"
    )
    if st.button(
        label,
        disabled=len(methods) != 2,
        key=f"compare {architecture}",
        icon=":material/compare_arrows:",
    ):
        frame.open_page(
            "app_pages/compare.py", architecture=architecture, first=methods[0], second=methods[1]
        )


st.title("Leaderboard")
track = frame.choose_track()
with frame.reading():
    table = queries.standings(track)
seeds = int(table["seeds"].max()) if len(table) else 0
st.markdown(
    plain(
        f"Ranked by {quantity(track, track.headline)} on test images, mean ± 95 % interval over "
        f"{seeds} of {track.seeds} seeds; λ chosen on validation images among those with at least "
        f"{100 * track.clean_floor:g} % clean accuracy there."
    )
)
if seeds == 0:
    frame.nothing_yet(track)
left, right = st.columns([3, 1], vertical_alignment="bottom")
with left:
    search = frame.search("Search methods", "search", "part of a name, tier, source or note")
with right:
    ranked_only = frame.switch("Ranked only", "ranked")
styles = frame.method_styles(track)
for architecture in track.architectures:
    everything = table[table["architecture"] == architecture]
    rows = matching(everything, search, ranked_only)
    st.subheader(plain(queries.registry().architecture(architecture).title))
    if rows.empty:
        st.info("No method matches.")
        continue
    st.markdown(leaders(everything, track))
    marked = st.dataframe(
        shown_table(rows, track),
        hide_index=True,
        placeholder="–",
        column_config=shown_columns(track),
        key=f"table {architecture}",
        on_select="rerun",
        selection_mode="multi-row",
    )
    for row in everything[everything["why"] != ""].to_dict("records"):
        st.caption(plain(f"`{row['regularizer']}` is not ranked: {row['why']}."))
    if rows["clean"].notna().any():
        compare(rows, [i for i in marked.selection.rows if i < len(rows)], architecture)
        frame.chart(
            plots.pareto(
                rows,
                track.headline,
                styles,
                "Robust against clean accuracy; size: training cost",
                axis_title(track, track.headline),
            ),
            f"pareto-{track.name}-{architecture}",
            rows,
        )
frame.download(table, f"leaderboard-{track.name}")
if track.reported:
    with st.expander("What papers report", expanded=True):
        st.caption("Paper-reported: shown beside ours, never tuned toward and never ranked.")
        st.dataframe(
            pd.DataFrame(
                [
                    {
                        "Paper": r.paper,
                        "Architecture": r.architecture,
                        "Method": r.regularizer,
                        "λ": r.strength,
                        "Score": columns_of(track).get(r.metric, r.metric),
                        "Value": percent(r.value, r.spread),
                    }
                    for r in track.reported
                ]
            ),
            hide_index=True,
        )
with st.expander("How to rerun"):
    st.code(
        f"regbench run {track.name}\nregbench rank {track.name}\nregbench rerun {track.name}",
        language="bash",
    )
    last_rerun(track)
if track.notes:
    with st.expander("About this track"):
        st.text(track.notes.strip())
