"""One regularizer: what it is, its code, and every trial of it."""

import json

import pandas as pd
import streamlit as st

from leaderboard_app import comparison, frame, plots, queries
from leaderboard_app.labels import axis_title, columns_of, plain

st.title("Method")
known = queries.registry()
names = sorted(known.regularizer_folders)
name = frame.choose("Method", names, "regularizer", "cross_lipschitz")
with frame.reading():
    method = known.regularizer(name)
card = method.card
st.header(plain(card.title))
st.latex(card.formula.replace("$", r"\$"))
facts = {
    "λ is": card.lambda_means,
    "Paper": card.paper,
    "Authors": card.authors,
    "Year": str(card.year),
    "Licence": card.licence,
    "Batch norm": card.batch_norm,
    "Extra forward passes": card.extra_forwards,
    "Extra backward passes": card.extra_backwards,
    "Smooth activation": "needed" if card.smooth_activation else "not needed",
    "Source": "submitted" if method.submitted else "registered",
    "SHA-256 of the code": method.sha256,
}
facts |= {f"Option {param}": spec.doc for param, spec in card.params.items()}
st.dataframe(
    pd.DataFrame({"Fact": list(facts), "Value": list(facts.values())}),
    hide_index=True,
    height="content",
    column_config={"Value": st.column_config.TextColumn(width="large")},
)
with st.expander("Code"):
    try:
        st.code((method.folder / "regularizer.py").read_text(), language="python")
    except (OSError, UnicodeDecodeError) as error:
        st.warning(plain(f"The code cannot be read: {error}"))


def has_method(track) -> bool:
    return any(comparison.base(line.regularizer) == name for line in track.entry)


st.subheader("Results")
track = frame.choose_track(has_method, f"No track holds `{name}` yet.")
architecture = frame.choose_architecture(track)
variants = [line.regularizer for line in track.entry if comparison.base(line.regularizer) == name]
with frame.reading():
    rows = queries.rows(track)
mine = rows[(rows["architecture"] == architecture) & rows["regularizer"].isin([*variants, "none"])]
curves = comparison.curves(comparison.matched(mine, 2))  # K = 2: every λ stays where it is
if curves[curves["method"].isin(variants)].empty:
    frame.nothing_yet(track)
else:
    styles = frame.method_styles(track)
    places = st.columns(2)
    for i, column in enumerate(("clean", track.headline)):
        with places[i]:
            drawn = curves[curves["column"] == column]
            frame.chart(
                plots.against_lambda(
                    drawn, styles, columns_of(track)[column], "λ", axis_title(track, column)
                ),
                f"sweep-{track.name}-{architecture}-{name}-{column}",
                drawn,
            )
with frame.reading():
    asked = {
        trial.key: trial
        for trial in queries.trials(track)
        if trial.entry.architecture == architecture and trial.entry.regularizer in variants
    }
    found = queries.trial_rows(asked)
known_rows = {row["key"]: row for row in found.to_dict("records")}
table = []
for key, trial in asked.items():
    row = known_rows.get(key, {})
    provenance = json.loads(row.get("provenance") or "{}")
    table.append(
        {
            "Key": key,
            "Method": trial.entry.regularizer,
            "λ": trial.entry.strength,
            "Seed": trial.seed,
            "Status": row.get("status", "not run"),
            "Command": f"regbench run '{trial.entry.id}' --seeds {trial.seed + 1}",
            "Training (s)": row.get("train_seconds"),
            "Iterations": row.get("iterations"),
            "Device": provenance.get("device_name", provenance.get("device")),
            "torch": provenance.get("torch"),
            "Python": provenance.get("python"),
            "Commit": provenance.get("commit"),
        }
    )
trials = pd.DataFrame(table)
st.subheader("Every trial")
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
frame.download(trials, f"trials-{track.name}-{architecture}-{name}")
