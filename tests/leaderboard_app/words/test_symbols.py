"""What the pages write is what LaTeX reads."""

import re

from leaderboard_app.words import symbols
from registry.load import HERE

WRITTEN = ("leaderboard_app/**/*.py", "benchmark/ranking/*.py", "registry/**/*.toml")


def test_neighbours_share_a_formula():
    assert symbols.in_latex("PGD ℓ∞ ε 0.1 (λ ↑) – 2×") == (
        r"PGD $\ell_\infty$ $\varepsilon$ 0.1 ($\lambda$ $\uparrow$) -- 2$\times$"
    )
    assert symbols.in_latex("‖r‖²") == r"$\|$r$\| ^2$"


def test_every_sign_that_pages_and_registry_write_is_known():
    texts = [path.read_text() for pattern in WRITTEN for path in sorted(HERE.parent.glob(pattern))]
    signs = set(re.findall(r"[^\x00-\x7f]", "".join(texts)))
    assert len(signs) > 20
    left = {sign for sign in signs if not symbols.in_latex(sign).isascii()}
    assert {sign for sign in left if not sign.isalpha()} == set()
    assert left <= set("öéäü")
