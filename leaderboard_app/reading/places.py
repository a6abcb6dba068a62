"""Where the charts of a page stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator


def rows_of(columns: int = 2) -> Iterator[DeltaGenerator]:
    """One place after another, row by row: on a small screen, where columns are stacked, charts
    keep their order.
    """
    while True:
        yield from st.columns(columns)
