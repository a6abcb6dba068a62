"""How threats, numbers and foreign text are written on every page."""

from __future__ import annotations

import html
import math
import re
import textwrap
from collections.abc import Iterable

from benchmark.ranking.placement import points
from registry.spec import Threat, Track

ATTACK_NAMES = {
    "fgsm": "FGSM",
    "pgd": "PGD",
    "malt": "MALT",
    "deepfool": "DeepFool",
    "carlini_wagner": "C&W",
    "fmn": "FMN",
    "apgd": "APGD",
    "union": "Union",
    "autoattack": "AutoAttack",
    "transfer": "Transfer",
}
AXIS_LINE = 36  # characters, also of a wide font on a small screen
NORM_SIGNS = {"inf": "ℓ∞", "2": "ℓ2"}
RADII = {"inf": "ε (ℓ∞, largest change of a pixel in [0, 1])", "2": "ε (ℓ2 length, input units)"}


def radius(value: float) -> str:
    """A distance in units of [0, 1] pixels: `8/255` for the rounded 0.0313725, else `0.1`."""
    levels = round(255 * value)
    is_levels = len(f"{value:g}") > 5 and math.isclose(255 * value, levels, rel_tol=1e-4)
    return f"{levels}/255" if is_levels else f"{value:g}"


def strength(value: float, sign: str = "λ") -> str:
    """`λ = 0.1`, or of a method whose strength is a radius `ε = 8/255`."""
    return f"{sign} = {radius(value) if sign == 'ε' else f'{value:g}'}"


def difference(points: float, low: float, high: float) -> str:
    """`+1.2 [+0.4, +2.0]` in percent points, with as many digits as tell its ends apart."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return f"{100 * points:+.1f}"
    width = max(100 * (high - low), 1e-3)
    digits = min(3, max(1, 1 - math.floor(math.log10(width))))
    return f"{100 * points:+.{digits}f} [{100 * low:+.{digits}f}, {100 * high:+.{digits}f}]"


def threat_label(threat: Threat) -> str:
    """`PGD ℓ∞ ε=0.1`; settings that are not the customary ones follow."""
    parts = [ATTACK_NAMES[threat.attack], NORM_SIGNS[threat.norm]]
    if threat.epsilon is not None:
        parts.append(f"ε={radius(threat.epsilon)}")
    parts += [
        f"{field}={radius(value) if isinstance(value, float) else value}"
        for field, value in threat.unusual.items()
    ]
    return " ".join(parts)


def family_label(attack: str, norm: str, loss: str) -> str:
    """`PGD ℓ2`, or `PGD ℓ2, margin loss`."""
    return f"{ATTACK_NAMES[attack]} {NORM_SIGNS[norm]}" + (", margin loss" * (loss == "margin"))


def columns_of(track: Track) -> dict[str, str]:
    """The columns of a track's standings → how they are headed."""
    return {"clean": "Clean"} | {threat.id: threat_label(threat) for threat in track.threats}


def distances_of(track: Track) -> set[str]:
    """The columns that hold a relative distance ‖r‖/‖x‖ instead of an accuracy."""
    return {threat.id for threat in track.threats if threat.epsilon is None}


def quantity(track: Track, column: str) -> str:
    """What a value of the column is, within a sentence."""
    if column in distances_of(track):
        return f"mean ‖r‖/‖x‖ of {columns_of(track)[column]}"
    if column == "worst":
        return "accuracy in the worst case over all attacks"
    return "clean accuracy" if column == "clean" else f"accuracy under {columns_of(track)[column]}"


def axis_title(track: Track, column: str) -> str:
    """The same with its unit, on an axis."""
    words = quantity(track, column)
    return f"{words[0].upper()}{words[1:]} (%)"


def percent(value: float | None, low: float = math.nan, high: float = math.nan) -> str:
    """0.7524, 0.74, 0.764 → `75.2 [74.0, 76.4] %`; nothing for a value that is none."""
    told = points(value, low, high)
    return told and f"{told} %"


def width(names: Iterable[str]) -> int:
    """Of a table's column in which every name is read in full, in pixels."""
    return 7 * max(map(len, names), default=0) + 20


def plain(text: str) -> str:
    """Foreign text for a place that reads Markdown: shown as it is, `code` aside, which is kept
    only where it cannot end elsewhere: on its own line, between single backticks.
    """
    parts = text.split("`")
    broken = any("\n" in code for code in parts[1::2])
    if len(parts) % 2 == 0 or "" in parts[1:-1] or broken:
        return _escaped(text)
    return "`".join(part if i % 2 else _escaped(part) for i, part in enumerate(parts))


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|<>$~:&^=@/])", r"\\\1", text)


def hover(text: str) -> str:
    """Foreign text for a Plotly label, which understands a little HTML."""
    return html.escape(text, quote=False)


def lines(text: str) -> str:
    """The same, in lines that an axis of a small chart has room for."""
    return "<br>".join(map(hover, textwrap.wrap(text, AXIS_LINE)))
