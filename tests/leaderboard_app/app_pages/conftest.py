"""The app as `regbench app` starts it, and a page of a real Chromium."""

import socket
import subprocess
import sys
import time

import pytest

from .browser import CHROMIUM, FLAGS, PROBES, ROOT


@pytest.fixture
def server(home):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(
        [sys.executable, "-m", "benchmark.commands", "app", "--port", str(port)],
        cwd=ROOT,
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


@pytest.fixture
def page():
    from playwright.sync_api import sync_playwright

    assert CHROMIUM is not None, "CI needs Chromium: apt install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1000}, color_scheme="light")
        page.set_default_timeout(60_000)
        page.errors = []
        page.on(
            "console",
            lambda message: (
                page.errors.append(f"{message.text} ({message.location.get('url')})")
                if message.type == "error" and not message.location.get("url", "").endswith(PROBES)
                else None
            ),
        )
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        yield page
        browser.close()
