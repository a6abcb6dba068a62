"""One colour, line and marker for each method, the same on every page; told apart without colour as
well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# Okabe & Ito's colour-blind-safe palette without its yellow and black, which vanish on a light or a
# dark page.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
CONTROL = "#808080"
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
SYMBOLS = (
    "circle",
    "diamond-open",
    "square",
    "triangle-up",
    "cross",
    "star",
    "triangle-down-open",
    "pentagon",
)
# These keep their colours whatever else is registered.
FIRST = (
    "jacobian",
    "cross_lipschitz",
    "input_gradient",
    "curvature",
    "weight_decay",
    "adversarial_training",
)


@dataclass(frozen=True)
class Style:
    colour: str
    dash: str
    symbol: str

    @property
    def band(self) -> str:
        """The colour, see-through."""
        red, green, blue = (int(self.colour[i : i + 2], 16) for i in (1, 3, 5))
        return f"rgba({red},{green},{blue},0.18)"


def styles(methods: Iterable[str]) -> dict[str, Style]:
    """Method → style. Give all that are registered, so that a method looks the same on every page."""
    methods = sorted(set(methods) - {"none"})
    order = [m for m in FIRST if m in methods] + [m for m in methods if m not in FIRST]
    places = {m: FIRST.index(m) for m in FIRST} | {
        m: i for i, m in enumerate([m for m in order if m not in FIRST], len(FIRST))
    }
    found = {
        method: Style(
            COLOURS[place % len(COLOURS)],
            DASHES[(place + place // len(COLOURS)) % len(DASHES)],
            SYMBOLS[(place + place // len(COLOURS)) % len(SYMBOLS)],
        )
        for method, place in places.items()
        if method in order
    }
    return found | {"none": Style(CONTROL, "dot", "x")}


def ordered(methods: Iterable[str]) -> list[str]:
    """The control first, then as in FIRST, then by name."""
    rank = {method: i for i, method in enumerate(("none", *FIRST))}
    return sorted(set(methods), key=lambda method: (rank.get(method, len(rank)), method))
