"""The leaderboard: `regbench app`, or `streamlit run leaderboard_app/app.py`."""
import sys
from pathlib import Path

import streamlit as st

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # a host that installs only the requirements has no `benchmark` package
    sys.path.insert(0, str(ROOT))

from leaderboard_app import frame, queries  # noqa: E402
from leaderboard_app.labels import plain  # noqa: E402
from registry.load import shown  # noqa: E402

PAGES = {
    "Compare": [
        st.Page("app_pages/leaderboard.py", title="Leaderboard", icon=":material/leaderboard:", default=True),
        st.Page("app_pages/equivalence.py", title="Equivalence", icon=":material/balance:"),
    ],
}

st.set_page_config(page_title="RegBench", layout="wide")
seen = queries.version()
page = st.navigation(PAGES)
with st.sidebar:
    st.caption("RegBench compares regularizers against adversarial examples.")
    st.caption(plain(f"Database: {shown(queries.database())}" + ("" if seen else " (none yet)")))
page.run()
frame.follow(seen)
