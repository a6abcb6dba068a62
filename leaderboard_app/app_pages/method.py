"""One regularizer: what it is, its code, and every trial of it."""

import streamlit as st

from leaderboard_app.figures import sweeps
from leaderboard_app.reading import charts, choices, downloads, frame, provenance, queries
from leaderboard_app.tables import matched
from leaderboard_app.tables import method as method_tables
from leaderboard_app.words import citation
from leaderboard_app.words.labels import axis_title, columns_of, plain
from leaderboard_app.words.style import base

st.title("Method")
known = queries.registry()
names = sorted(known.regularizer_folders)
if base(asked := st.query_params.get("regularizer", "")) in names:
    st.query_params["regularizer"] = base(asked)  # a variant stands on its method's page
name = choices.choose_method(names, default="cross_lipschitz")
with frame.reading():
    method = known.regularizer(name)
card = method.card
st.header(plain(card.title))
st.latex(card.formula.replace("$", r"\$"))
st.dataframe(
    method_tables.facts(method),
    hide_index=True,
    height="content",
    column_config={"Value": st.column_config.TextColumn(width="large")},
)
with st.expander("Cite"):
    with frame.reading():
        commits = provenance.commits(name)
    cited = [citation.of_benchmark(commits)]
    if not card.is_control:
        cited.insert(0, citation.of_method(card))
    st.code("\n\n".join(cited), language="bibtex")
with st.expander("Code"):
    try:
        st.code((method.folder / "regularizer.py").read_text(), language="python")
    except (OSError, UnicodeDecodeError) as error:
        st.warning(plain(f"The code cannot be read: {error}"))


def has_method(track) -> bool:
    """Whether the method takes part in the track."""
    return any(base(method) == name for method in queries.methods_of(track))


st.header("Results")
track = choices.choose_track(choices.Need(f"entry of {plain(name)}", has_method))
architecture = choices.choose_architecture(track)
variants = [method for method in queries.methods_of(track) if base(method) == name]
with frame.reading():
    rows = queries.rows(track)
mine = rows[(rows["architecture"] == architecture) & rows["regularizer"].isin([*variants, "none"])]
curves = matched.curves(matched.matched(mine, 2))  # K = 2: every λ stays where it is
if curves[curves["method"].isin(variants)].empty:
    frame.nothing_yet(track)
else:
    styles = frame.method_styles()
    places = st.columns(2)
    for i, column in enumerate(("clean", track.headline)):
        with places[i]:
            drawn = curves[curves["column"] == column]
            charts.chart(
                sweeps.against_lambda(
                    drawn,
                    styles,
                    columns_of(track)[column],
                    styles[name].sign,
                    axis_title(track, column),
                ),
                f"sweep-{track.name}-{architecture}-{name}-{column}",
                drawn,
                charts.behind(track, architecture),
            )
with frame.reading():
    asked = {
        trial.key: trial
        for trial in queries.trials(track)
        if trial.entry.architecture == architecture and trial.entry.regularizer in variants
    }
    found, sources = queries.trial_rows(asked), queries.sources(asked)
    files = provenance.files(asked)
trials = method_tables.trials(asked, found.to_dict("records"), sources, files)
st.header("Every trial")
st.dataframe(
    trials,
    hide_index=True,
    placeholder="–",
    column_config={
        "λ": st.column_config.NumberColumn(format="%.4g"),
        "Training (s)": st.column_config.NumberColumn(format="%.1f"),
        "Commit": st.column_config.TextColumn(width="small"),
    },
)
downloads.take_away(trials, trials, f"trials-{track.name}-{architecture}-{name}")
