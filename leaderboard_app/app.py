"""The leaderboard: `regbench app`, or `streamlit run leaderboard_app/app.py`."""

import sys
from pathlib import Path

import streamlit as st

HERE = Path(__file__).resolve().parent
# A host that installs only the requirements has no `benchmark` package.
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))

PAGES = [
    st.Page("app_pages/overview.py", title="Overview", default=True),
    st.Page("app_pages/leaderboard.py", title="Leaderboard"),
    st.Page("app_pages/find.py", title="Find a method"),
    st.Page("app_pages/equivalence.py", title="Equivalence"),
    st.Page("app_pages/margins.py", title="Margins"),
    st.Page("app_pages/robustness.py", title="Robustness"),
    st.Page("app_pages/theory.py", title="Theory"),
    st.Page("app_pages/compare.py", title="Compare"),
    st.Page("app_pages/method.py", title="Method"),
    st.Page("app_pages/figures.py", title="Paper figures"),
    st.Page("app_pages/runs.py", title="Runs"),
    st.Page("app_pages/submit.py", title="Submit"),
    st.Page("app_pages/about.py", title="About"),
]

page = st.navigation(PAGES, position="top")
# Pages have no icons of their own: the browser's tab would fetch them from the network.
st.set_page_config(
    page_title=f"{page.title} · RegBench", page_icon=str(HERE / "icon.svg"), layout="wide"
)
st.session_state["page"] = page
with st.skeleton():  # until the page draws: the first import takes a moment
    from leaderboard_app.reading import frame

with frame.around():
    page.run()
