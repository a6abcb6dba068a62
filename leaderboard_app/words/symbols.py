"""The signs of the pages' tables as LaTeX has them, whatever its input encoding and fonts."""

from __future__ import annotations

import re

# In mathematics; neighbours share one pair of dollars.
MATHEMATICS = {
    "ℓ∞": r"\ell_\infty",
    "ℓ1": r"\ell_1",
    "ℓ2": r"\ell_2",
    "ℓ": r"\ell",
    "∞": r"\infty",
    "ε": r"\varepsilon",
    "λ": r"\lambda",
    "α": r"\alpha",
    "β": r"\beta",
    "γ": r"\gamma",
    "ν": r"\nu",
    "µ": r"\mu",
    "μ": r"\mu",
    "σ": r"\sigma",
    "χ": r"\chi",
    "Ω": r"\Omega",
    "∇": r"\nabla",
    "‖": r"\|",
    "×": r"\times",
    "·": r"\cdot",
    "±": r"\pm",
    "−": "-",
    "≤": r"\le",
    "≥": r"\ge",
    "≈": r"\approx",
    "≡": r"\equiv",
    "∈": r"\in",
    "→": r"\to",
    "↑": r"\uparrow",
    "↓": r"\downarrow",
    "√": r"\surd",
    "½": r"\frac12",
    "²": "^2",
    "₁": "_1",
    "₂": "_2",
    "ᵢ": "_i",
    "ⱼ": "_j",
    "₊": "_+",
    "₋": "_-",
}
TEXT = {
    "–": "--",
    "—": "---",
    "…": r"\dots{}",
    "°": r"\textdegree{}",
    "’": "'",
    "“": "``",
    "”": "''",
}
_SIGN = "|".join(sorted(MATHEMATICS, key=len, reverse=True))
_ANY = re.compile(f"(?:{_SIGN})+")


def in_latex(text: str) -> str:
    """Text of LaTeX in which every sign of these tables is a command."""

    def formula(found: re.Match[str]) -> str:
        return "$" + " ".join(MATHEMATICS[sign] for sign in re.findall(_SIGN, found[0])) + "$"

    text = _ANY.sub(formula, text)
    for sign, command in TEXT.items():
        text = text.replace(sign, command)
    return text
