"""How to submit a regularizer."""

import pandas as pd
import streamlit as st

from leaderboard_app.reading import frame, provenance
from leaderboard_app.words.labels import plain
from registry.places import TEMPLATE, submissions

st.title("Submit a regularizer")
st.markdown(
    "A submission is a folder with a card (facts) and one function (the penalty per example)."
)
readme = submissions() / "README.md"
if readme.exists():
    st.markdown(readme.read_text().partition("\n")[2])  # without its own title


st.header("The form, filled in")
for name, language in (("card.toml", "toml"), ("regularizer.py", "python")):
    st.caption(f"`{name}`")
    st.code((TEMPLATE / name).read_text(), language=language)

st.header("What the checks last said")
with frame.reading():
    reports = provenance.last_checks()
if not reports:
    st.info(
        "Nothing has been checked yet. Run\n\n```\nregbench check submissions/my_method\n```\n\n"
        "and its findings stand here.",
        icon=":material/hourglass_empty:",
    )
for report in reports:
    with st.expander(
        plain(report.verdict), icon=":material/check:" if report.ok else ":material/close:"
    ):
        st.dataframe(
            pd.DataFrame(
                [
                    {
                        "Result": "ok" if finding.ok else "FAIL",
                        "Check": finding.check,
                        "Found": finding.detail,
                    }
                    for finding in report.findings
                ]
            ),
            hide_index=True,
            height="content",
            column_config={"Check": st.column_config.TextColumn(width="large")},
        )
