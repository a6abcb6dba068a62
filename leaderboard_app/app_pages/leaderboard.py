"""Which regularizer wins here, by how much, at what cost."""

import streamlit as st

from benchmark.ranking.placement import on_fewer_images, unranked
from leaderboard_app.figures import pareto
from leaderboard_app.reading import charts, choices, downloads, frame, provenance, queries
from leaderboard_app.tables import author, leaderboard
from leaderboard_app.words.labels import axis_title, columns_of, plain, quantity
from registry.spec import Track


def shown_columns(track: Track, rows) -> dict:
    """How each column of the board is set, and the help in its head."""
    images = f"{track.tier_examples} images" if track.tier_examples else "all test images"
    widths = leaderboard.widths(rows, "Mobi" in st.context.headers.get("User-Agent", ""))
    config = {
        "Rank": st.column_config.NumberColumn(
            width=widths["Rank"],
            help="From the best to the worst rank that paired differences over seeds and test "
            "images allow (95 %, all pairs together).",
        ),
        "Method": st.column_config.TextColumn(width=widths["Method"], pinned=True),
        "λ": st.column_config.NumberColumn(
            width=72,
            help="Chosen on validation images, never on test. ε: the strength is a radius. *: not "
            "all seeds are scored at it.",
        ),
        "Clean": st.column_config.NumberColumn(
            width=146, help="Accuracy on unperturbed test images."
        ),
        leaderboard.WORST: st.column_config.NumberColumn(
            help="Accuracy under the union of all attacks within the norm and ε that rank."
        ),
        leaderboard.CERTIFIED: st.column_config.NumberColumn(
            help="The share of images whose class is proven to withstand every perturbation within "
            "the norm and ε that rank. The truth lies between it and the worst case."
        ),
        "Gap": st.column_config.NumberColumn(
            help="Points that the attack which ranks leaves more than all attacks together, where "
            "that is more than 2."
        ),
        "Cost ×": st.column_config.NumberColumn(
            width=64, help="Training seconds of a trial relative to `none`."
        ),
        "Tier": st.column_config.TextColumn(
            width=72,
            help="quick: the track's own threats. standard: APGD and PGD on the margin as well, "
            f"on {images}. verified: AutoAttack on what PGD leaves, or on all.",
        ),
        "Seeds": st.column_config.NumberColumn(width=56, help=f"The track asks for {track.seeds}."),
        "Diverged": st.column_config.NumberColumn(
            help="Of its trials at every λ, those whose training stopped being finite. A λ at "
            "which one did cannot be selected."
        ),
        "Source": st.column_config.TextColumn(
            width=84,
            help="Whose word it is. here: run into this database. registered: rows that the "
            "repository brings. claimed: a submission's own. verified: a submission's, repeated in "
            "the sandbox.",
        ),
        "Challenged by": st.column_config.TextColumn(
            help="Who found adversarial images that every attack had missed, and how many: they "
            "count as broken in the worst case."
        ),
        "Flags": st.column_config.TextColumn(
            help="Signs that the attacks on these models cannot be believed. A flag keeps a "
            "method out of the ranking."
        ),
        "Note": st.column_config.TextColumn(width="large", help="Why a method is not ranked."),
    }
    for threat in track.threats:
        heading = columns_of(track)[threat.id]
        if threat.epsilon is not None:
            what = f"Accuracy under {threat.id}"
        else:
            what = f"Mean ‖r‖/‖x‖ found by {threat.id}, of the images that it broke"
        config[heading] = st.column_config.NumberColumn(
            width=146 if threat.id == track.headline else None,
            help=what + ("; this ranks." if threat.id == track.headline else "."),
        )
    return config


def last_rerun(track: Track) -> None:
    """What the last `regbench rerun` said of this track's rows."""
    with frame.reading():
        report = provenance.last_rerun()
    keys = {trial.key for trial in queries.trials(track)}
    mine = [] if report is None else [row for row in report.rows if row.key in keys]
    if report is None or not mine:
        st.caption(
            "`regbench rerun` repeats the registered rows and says here whether they came out "
            "again."
        )
        return
    said = leaderboard.rerun_in_words(mine)
    st.markdown(
        plain(f"Last rerun, finished {report.finished}: of {len(mine)} registered rows {said}.")
    )
    drifted = leaderboard.drifted(mine)
    if len(drifted):
        st.dataframe(drifted, hide_index=True, placeholder="–")


def compare(rows, chosen: list[int], architecture: str) -> None:
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
        choices.open_page(
            "app_pages/compare.py", architecture=architecture, first=methods[0], second=methods[1]
        )


st.title("Leaderboard")
track = choices.choose_track()
with st.skeleton(height=480), frame.reading():
    table = queries.standings(track)
counts = sorted({int(count) for count in table["seeds"] if count}) if len(table) else []
seeds = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1])))) if counts else "0"
st.markdown(
    plain(
        f"Ranked by {quantity(track, track.ranking)} on test images, mean with its 95 % interval "
        f"over {seeds} of {track.seeds} seeds; λ chosen on validation images among those with at "
        f"least {100 * track.clean_floor:g} % clean accuracy there."
    )
)
if not counts:
    frame.nothing_yet(track)
left, middle, own, right = st.columns([3, 2, 2, 1], vertical_alignment="bottom")
with left:
    search = choices.search("Search methods", "search", "part of a name, tier, source or note")
with middle:
    orders = leaderboard.orders(track)
    order = choices.choose("Sorted by", list(orders), "sort", "rank", orders.__getitem__)
with own:
    methods = list(dict.fromkeys(table["regularizer"]))
    mine = choices.choose("My method", ["", *methods], "mine", "", lambda name: name or "–")
with right:
    ranked_only = choices.switch("Ranked only", "ranked")
styles, registry = frame.method_styles(), queries.registry()


def title_of(method: str) -> str:
    """A method's title, from its card."""
    return registry.method_and_params(method)[0].card.title


found = leaderboard.matching(table, search, ranked_only, title_of)
found = leaderboard.in_order(found, order)
for architecture in track.architectures:
    everything = table[table["architecture"] == architecture]
    rows = found[found["architecture"] == architecture]
    st.header(plain(registry.architecture(architecture).title))
    if counts and not everything["seeds"].any():
        st.info(f"No method has run here in full yet: `regbench run {track.name}`")
        continue
    if rows.empty:
        st.info("No method matches.")
        continue
    st.markdown(leaderboard.leaders(everything, track))
    for sentence in author.told(everything, track, mine):
        st.markdown(f"- {sentence}")
    marked = st.dataframe(
        leaderboard.shown(rows, track, styles, mine),
        hide_index=True,
        height="content",
        placeholder="–",
        column_config=shown_columns(track, rows),
        # Rows are marked by place: in another table these would be other methods.
        key=" ".join(["table", track.name, architecture, *rows["regularizer"]]),
        on_select="rerun",
        selection_mode="multi-row",
    )
    if scattered := leaderboard.elsewhere(everything):
        st.caption(plain(scattered))
    if fewer := on_fewer_images(everything.to_dict("records")):
        st.caption(f"{fewer[0].upper()}{fewer[1:]}. Robustness has both sides on the same images.")
    for why, names in unranked(everything.to_dict("records")).items():
        st.caption(plain(f"Not ranked: {', '.join(f'`{name}`' for name in names)}: {why}."))
    if rows["clean"].notna().any():
        compare(rows, [i for i in marked.selection.rows if i < len(rows)], architecture)
        charts.chart(
            pareto.pareto(
                rows,
                track.ranking,
                styles,
                "Robust against clean accuracy",
                axis_title(track, track.ranking),
            ),
            f"pareto-{track.name}-{architecture}",
            rows,
            charts.behind(track, architecture),
        )
        st.caption(
            "The area grows with the training cost; a flagged method says so beside its name. A "
            "click on a point shows its trials, their files and what repeats them."
        )
if len(found):
    written = leaderboard.written(found, track, styles)
    downloads.take_away(found, written, f"leaderboard-{track.name}")
if track.reported:
    with st.expander("What papers report", expanded=True):
        st.caption("Paper-reported: shown beside ours, never tuned toward and never ranked.")
        st.dataframe(leaderboard.reported(track), hide_index=True)
with st.expander("How to rerun"):
    st.code(
        f"regbench run {track.name}\nregbench rank {track.name}\nregbench rerun {track.name}",
        language="bash",
    )
    last_rerun(track)
if track.notes:
    with st.expander("About this track"):
        st.text(track.notes.strip())
