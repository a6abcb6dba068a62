"""axe-core on every page, on both themes: contrast, labels, names, the order of headings."""

from pathlib import Path

import axe_playwright_python
import pytest

from .browser import needs_chromium

pytestmark = [pytest.mark.slow, needs_chromium]

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text()
RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]}
# All that a theme changes.
COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
PATHS = (
    "",
    "leaderboard",
    "find",
    "equivalence",
    "margins",
    "robustness",
    "theory",
    "compare",
    "method",
    "figures",
    "runs",
    "submit",
    "about",
)
# Streamlit's own: its formulas scroll by mouse alone, and the colours of code's words are fixed.
NOT_OURS = {"scrollable-region-focusable"}
CODE = ".token"


def violations(page, rules):
    """Rule → the elements that break it."""
    page.evaluate(AXE)
    found = page.evaluate(
        "([rules, code]) => axe.run({exclude: [[code]]}, {resultTypes: ['violations'],"
        " runOnly: rules})",
        [rules, CODE],
    )
    return {
        rule["id"]: [node["html"][:200] for node in rule["nodes"]]
        for rule in found["violations"]
        if rule["id"] not in NOT_OURS
    }


def test_no_page_breaks_a_rule_of_accessibility_on_either_theme(fill, server, page):
    fill("digits-binary", seeds=3)
    broken = {}
    for path in PATHS:
        page.goto(f"{server}/{path}" + ("?track=digits-binary" if path else ""))
        page.get_by_role("heading", level=1).first.wait_for()
        page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
        for theme, rules in (("light", RULES), ("dark", COLOURS)):
            page.emulate_media(color_scheme=theme)
            page.wait_for_timeout(1000)
            if found := violations(page, rules):
                broken[path, theme] = found
    assert broken == {}
