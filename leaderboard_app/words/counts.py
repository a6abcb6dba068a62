"""How many images and seeds something rests on."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd


def span(values: Iterable[float]) -> str:
    """`200`, or `64–200` where they differ."""
    found = sorted({round(value) for value in values})
    return f"{found[0]}–{found[-1]}" if len(found) > 1 else f"{found[0]}"


def images(table: pd.DataFrame, seeds: int) -> str:
    """`100 images of each model, seeds 0–2 of 5`: which values per image are stored.

    Args:
        table: columns key, seed and image, a row an image of a model.
        seeds: how many seeds have finished.
    """
    of_models = table.groupby("key")["image"].nunique()
    stored = sorted(int(seed) for seed in table["seed"].unique())
    if len(stored) == seeds:
        which = "all seeds" if seeds > 1 else "one seed"
    else:
        run = stored == list(range(stored[0], stored[-1] + 1))
        names = span(stored) if run else ", ".join(map(str, stored))
        which = f"seed{'s' * (len(stored) > 1)} {names} of {seeds}"
    return f"{span(of_models)} images of each model, {which}"
