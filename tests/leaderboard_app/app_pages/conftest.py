"""The app as `regbench app` starts it, and a page of a real Chromium."""

import pytest

from .browser import CHROMIUM, FLAGS, PROBES, serving


@pytest.fixture
def server(home):
    with serving(home) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import expect, sync_playwright

    assert CHROMIUM is not None, "CI needs Chromium: apt install chromium"
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """In a context of its own: nothing that another test's page stored."""
    with browser.new_context(
        viewport={"width": 1280, "height": 1000}, color_scheme="light"
    ) as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.errors = errors = []  # of every page of the context

        def note(message) -> None:
            probes = message.location.get("url", "").endswith(PROBES)
            if message.type == "error" and not probes:
                errors.append(f"{message.text} ({message.location.get('url')})")

        context.on("console", note)
        context.on("weberror", lambda error: errors.append(str(error.error)))
        yield page
