"""A real Chromium for the pages' tests."""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Below a page's path Streamlit's client first tries to find the server under that path, then at the
# root.
PROBES = ("/_stcore/health", "/_stcore/host-config")

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("CI"), reason="needs Chromium: apt install chromium"
)


def settled(page, heading: str) -> None:
    """Waits until the page of that heading is drawn and checks that nothing on it broke."""
    page.get_by_role("heading", name=heading, exact=True).wait_for()
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    assert page.locator("[data-testid=stException]").count() == 0
    assert "Traceback" not in page.content()
