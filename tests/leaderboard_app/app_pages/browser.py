"""A real Chromium for the pages' tests, and the app that it looks at."""

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
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


@contextmanager
def serving(home):
    """The address of an app with that home."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(
        [sys.executable, "-m", "benchmark.commands", "app", "--port", str(port)],
        cwd=ROOT,
        env=os.environ | {"REGBENCH_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    socket.create_connection(("localhost", port), timeout=1).close()
                    break
                except OSError:
                    assert process.poll() is None, process.stdout.read()
                    assert time.monotonic() < deadline, "the app did not start within a minute"
                    time.sleep(0.2)
            yield f"http://localhost:{port}"
        finally:
            process.kill()  # Streamlit may wait for connections that nobody closes any more
