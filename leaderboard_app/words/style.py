"""One colour, dash and marker for each method, the same on every page and on both themes, and what
its strength is called.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from .labels import strength

# Each stands out at least 3 : 1 from the light page and from the dark one.
COLOURS = ("#1F77D0", "#D55E00", "#00916A", "#C2569A", "#8F63DE", "#A67C00", "#DC3B47")
CONTROL = "#808080"
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
# Further ones of variants, as methods leave few: long-dot, long-dot-dot and sparse dots.
OF_VARIANTS = ("longdashdot", "15px,4px,3px,4px,3px,4px", "3px,9px")
SYMBOLS = (
    "circle",
    "diamond",
    "square",
    "triangle-up",
    "cross",
    "star",
    "triangle-down",
    "pentagon",
)
OPEN, VARIANT = "-open", "-open-dot"  # a marker that is flagged, and one of a variant
# From weak to strong. Lightness alone would vanish on one of the themes, so the hue runs.
STRENGTHS = ("#0E9A5B", "#0A8F9E", "#1F77D0", "#8F63DE", "#C2569A", "#DC3B47")
# These keep their places whatever else is registered; others follow by name.
FIRST = (
    "jacobian",
    "cross_lipschitz",
    "input_gradient",
    "curvature",
    "weight_decay",
    "adversarial_training",
    "cross_hoelder",
    "data_dependent_operator_norm",
    "global_spectral_norm",
    "convex_mix",
    "trades",
    "llr",
    "grad_align",
    "elle",
    "spectral_normalization",
    "curvature_finite_difference",
)


@dataclass(frozen=True)
class Style:
    """How a method looks in every figure of every page."""

    colour: str
    dash: str
    symbol: str
    sign: str = "λ"  # "ε" of a method whose strength is a radius

    def strength(self, value: float) -> str:
        """`λ = 0.1`, or `ε = 8/255`."""
        return strength(value, self.sign)

    @property
    def band(self) -> str:
        """The colour, see-through."""
        red, green, blue = channels(self.colour)
        return f"rgba({red},{green},{blue},0.18)"

    @property
    def outline(self) -> str:
        """The marker, open: of what is flagged."""
        return self.symbol.removesuffix(VARIANT) + OPEN

    @property
    def hollow(self) -> Style:
        """The same method beside itself."""
        return replace(self, dash="dot", symbol=self.outline)


def channels(colour: str) -> tuple[int, int, int]:
    """`#0072B2` → red, green, blue of 255."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return red, green, blue


def base(method: str) -> str:
    """`jacobian:projections=1` → `jacobian`."""
    return method.partition(":")[0]


def styles(names: Iterable[str], radii: Collection[str] = ()) -> dict[str, Style]:
    """Name → style. Give every method and variant of the registry: a name then looks the same
    everywhere.

    Methods differ in colour and dash, and in colour and symbol, as long as there are at most 35. A
    variant has its method's colour, a dash that no method of this colour has, and an open marker
    with a dot in it, a method's first one that of its shape.

    Args:
        radii: the methods whose strength is a radius.
    """
    asked = {"none", *names}
    variants: dict[str, list[str]] = {}
    for name in sorted(asked | set(FIRST)):
        variants.setdefault(base(name), []).append(name)
    others = sorted(variants.keys() - {*FIRST, "none"})
    found = {"none": Style(CONTROL, "dot", "x")}
    turns: dict[str, int] = {}
    for place, method in enumerate((*FIRST, *others)):
        turn = place // len(COLOURS) + place % len(COLOURS)
        symbol, sign = SYMBOLS[turn % len(SYMBOLS)], "ε" if method in radii else "λ"
        colour, turns[method] = COLOURS[place % len(COLOURS)], turn
        found[method] = Style(colour, DASHES[turn % len(DASHES)], symbol, sign)
    taken = {(style.colour, style.dash) for style in found.values()}
    for method, turn in turns.items():
        style = found[method]
        free = [dash for dash in (*DASHES, *OF_VARIANTS) if (style.colour, dash) not in taken]
        for i, name in enumerate(name for name in variants[method] if name != method):
            dash = free[(turn + i) % len(free)]
            shape = SYMBOLS[(turn + 3 * i) % len(SYMBOLS)]  # not in step with the dashes
            found[name] = replace(style, dash=dash, symbol=shape + VARIANT)
    return {name: found[name] for name in sorted(asked)}


def strength_colours(strengths: Iterable[float]) -> dict[float, str]:
    """λ → colour, from green for the weakest to red for the strongest; λ = 0 in the control's
    grey.
    """
    positive = sorted({strength for strength in strengths if strength > 0})
    last = max(1, len(positive) - 1)
    colours = {value: _between(STRENGTHS, i / last) for i, value in enumerate(positive)}
    return ({0.0: CONTROL} if 0 in strengths else {}) | colours


def _between(colours: Sequence[str], share: float) -> str:
    """The colour at a share of the way through them."""
    place = share * (len(colours) - 1)
    left = min(int(place), len(colours) - 2)
    ends = zip(channels(colours[left]), channels(colours[left + 1]))
    return "#" + "".join(f"{round(a + (b - a) * (place - left)):02X}" for a, b in ends)


def ordered(methods: Iterable[str]) -> list[str]:
    """The control first, then as in FIRST, then by name."""
    rank = {method: i for i, method in enumerate(("none", *FIRST))}
    return sorted(set(methods), key=lambda method: (rank.get(base(method), len(rank)), method))
