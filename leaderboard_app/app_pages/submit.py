"""How to submit a regularizer."""
from pathlib import Path

import streamlit as st

from leaderboard_app import queries
from registry.load import HERE

st.title("Submit a regularizer")
st.markdown("A submission is a folder with a card (facts) and one function (the penalty per example).")
readme = HERE.parent / "submissions" / "README.md"
if readme.exists():
    st.markdown(readme.read_text().partition("\n")[2])  # without its own title


def form() -> Path | None:
    """The template, or the registered method that is the plainest example of the form."""
    folders = queries.registry().regularizer_folders
    template = HERE.parent / "submissions" / "_template"
    return template if template.is_dir() else folders.get("input_gradient")


folder = form()
if folder is not None:
    st.subheader("The form, filled in")
    for name, language in (("card.toml", "toml"), ("regularizer.py", "python")):
        st.caption(f"`{name}`")
        st.code((folder / name).read_text(), language=language)
