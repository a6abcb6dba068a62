"""What has run, what is still to run, and what failed."""

import pandas as pd
import streamlit as st

from leaderboard_app.reading import choices, downloads, frame, queries

st.title("Runs")
track = choices.choose_track()
with frame.reading():
    plan = queries.plan(track)
    keys = {trial.key: trial for trial in plan.trials}
    rows, attempts = queries.trial_rows(keys), queries.attempts(keys)
statuses = rows["status"].value_counts() if len(rows) else {}
failed = (
    attempts[attempts["status"] == "failed"] if len(attempts) else pd.DataFrame(columns=["key"])
)
never = [
    key for key in dict.fromkeys(failed["key"]) if len(rows) == 0 or key not in set(rows["key"])
]
for place, (label, value) in zip(
    st.columns(4),
    {
        "Trials, with references": len(plan.trials),
        "Done": plan.done,
        "Diverged": int(statuses.get("diverged", 0)),
        "Failed so far": len(never),
    }.items(),
):
    place.metric(label, value)
st.progress(plan.done / max(1, len(plan.trials)))
if len(plan.to_run):
    st.code(f"regbench run {track.name}", language="bash")
    st.caption(
        "runs what is left: what is done is skipped, what was interrupted goes on, what failed is "
        "tried again."
    )
if attempts.empty:
    frame.nothing_yet(track, "attempts")
    frame.end()


def named(table: pd.DataFrame) -> pd.DataFrame:
    """The runs with headings, and entries for keys."""
    entries = [keys[key].entry.id for key in table["key"]]
    return pd.DataFrame(
        {
            "Started (UTC)": table["started"],
            "Entry": entries,
            "Seed": [keys[key].seed for key in table["key"]],
            "Status": table["status"],
            "Error": table["error"],
            "Key": table["key"],
        }
    )


if len(failed):
    st.header("Failures")
    st.dataframe(
        named(failed),
        hide_index=True,
        placeholder="–",
        column_config={"Error": st.column_config.TextColumn(width="large")},
    )
    st.caption(
        "A trial's folder under the home folder holds the whole traceback: `<key>/error.txt`."
    )
st.header("Attempts, the latest first")
st.dataframe(named(attempts), hide_index=True, placeholder="–")
downloads.take_away(named(attempts), named(attempts), f"attempts-{track.name}")
