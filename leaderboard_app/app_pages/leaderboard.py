"""Which regularizer wins here, by how much, at what cost."""
import pandas as pd
import streamlit as st
from pandas.io.formats.style import Styler

from leaderboard_app import frame, plots, queries
from leaderboard_app.labels import axis_title, columns_of, percent, plain, quantity
from registry.spec import Track


def shown_table(rows: pd.DataFrame, track: Track) -> Styler:
    """The standings under readable headings; a cell shows `75.2 ± 1.3 %` and sorts by its mean."""
    columns = columns_of(track)
    names = {"rank": "Rank", "regularizer": "Method", "lambda": "λ", **columns, "cost": "Cost ×", "seeds": "Seeds"}
    if (rows["why"] != "").any():
        names["why"] = "Note"
    rows = rows.astype({"lambda": float}).reset_index(drop=True)
    style = rows[list(names)].rename(columns=names).style.format({"λ": "{:g}", "Cost ×": "{:.1f}"})
    for column, heading in columns.items():
        for i, (value, width) in enumerate(zip(rows[column], rows[f"{column}_half_width"])):
            text = percent(value, width)
            style = style.format(lambda _, text=text: text, subset=([i], [heading]))
    return style


def shown_columns(track: Track) -> dict:
    config = {
        "Rank": st.column_config.NumberColumn(width="small", help="Methods of equal score share a rank."),
        "Method": st.column_config.TextColumn(pinned=True),
        "λ": st.column_config.NumberColumn(width="small", help="Chosen on validation images, never on test."),
        "Clean": st.column_config.NumberColumn(help="Accuracy on unperturbed test images."),
        "Cost ×": st.column_config.NumberColumn(width="small", help="Training seconds of a trial relative to `none`."),
        "Seeds": st.column_config.NumberColumn(width="small", help=f"The track asks for {track.seeds}."),
        "Note": st.column_config.TextColumn(width="large", help="Why a method is not ranked."),
    }
    for threat in track.threats:
        heading = columns_of(track)[threat.id]
        what = "accuracy under" if threat.epsilon is not None else "mean ‖r‖/‖x‖ found by"
        config[heading] = st.column_config.NumberColumn(help=f"{what} {threat.id}" + (
            "; this ranks" if threat.id == track.headline else ""))
    return config


def matching(table: pd.DataFrame, search: str, ranked_only: bool) -> pd.DataFrame:
    """The rows whose method, title or note holds every word of the search."""
    known = queries.registry()

    def text(row: pd.Series) -> str:
        return f"{row['regularizer']} {known.params(row['regularizer'])[0].card.title} {row['why']}".casefold()

    keep = [all(word in text(row) for word in search.casefold().split()) for _, row in table.iterrows()]
    return table[pd.Series(keep, index=table.index) & (table["rank"].notna() | (not ranked_only))]


st.title("Leaderboard")
track = frame.choose_track()
with frame.reading():
    table = queries.standings(track)
seeds = int(table["seeds"].max()) if len(table) else 0
st.markdown(plain(f"Ranked by {quantity(track, track.headline)} on test images, mean ± 95 % interval over "
                  f"{seeds} of {track.seeds} seeds; λ chosen on validation images among those with at least "
                  f"{100 * track.clean_floor:g} % clean accuracy there."))
if seeds == 0:
    frame.nothing_yet(track)
left, right = st.columns([3, 1], vertical_alignment="bottom")
with left:
    search = frame.search("Search methods", "search", "part of a name, or of a note")
ranked_only = right.toggle("Ranked only")
styles = frame.method_styles(track)
for architecture in track.architectures:
    everything = table[table["architecture"] == architecture]
    rows = matching(everything, search, ranked_only)
    st.subheader(plain(queries.registry().architecture(architecture).title))
    if rows.empty:
        st.info("No method matches.")
        continue
    st.dataframe(shown_table(rows, track), hide_index=True, placeholder="–",
                 column_config=shown_columns(track), key=f"table {architecture}")
    if rows["clean"].notna().any():
        frame.chart(plots.pareto(rows, track.headline, styles, "Robust against clean accuracy; size: training cost",
                                 axis_title(track, track.headline)), f"pareto-{track.name}-{architecture}")
frame.download(table, f"leaderboard-{track.name}")
if track.reported:
    with st.expander("What papers report"):
        st.caption("Shown beside ours, never tuned toward.")
        st.dataframe(pd.DataFrame([
            {"Paper": r.paper, "Architecture": r.architecture, "Method": r.regularizer,
             "λ": r.strength, "Score": columns_of(track).get(r.metric, r.metric), "Value": percent(r.value, r.spread)}
            for r in track.reported]), hide_index=True)
with st.expander("How to rerun"):
    st.code(f"regbench run {track.name}\nregbench rank {track.name}", language="bash")
if track.notes:
    with st.expander("About this track"):
        st.text(track.notes.strip())
