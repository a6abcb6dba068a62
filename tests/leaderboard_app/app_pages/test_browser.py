"""The app as `regbench app` starts it, in a real Chromium. Screenshots: tests/output/."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from .browser import needs_chromium, serving, settled

OUTPUT = Path(__file__).resolve().parents[3] / "tests" / "output"

pytestmark = [pytest.mark.slow, needs_chromium]


def keep(page, name: str) -> None:
    height = page.evaluate(
        "document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight"
    )
    page.set_viewport_size({"width": 1280, "height": min(height + 80, 5000)})
    page.wait_for_timeout(500)  # charts are drawn anew at their size
    OUTPUT.mkdir(exist_ok=True)
    page.screenshot(path=OUTPUT / f"{name}.png")
    page.set_viewport_size({"width": 1280, "height": 1000})


# One app for all, and rows that become more: the first test's track has none before it.
@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(home):
    with serving(home) as address:
        yield address


def test_the_open_pages_follow_a_run(fill, server, page):
    opened = {}
    for path in ("leaderboard", "equivalence", "margins", "robustness", "compare"):
        opened[path] = page.context.new_page()
        opened[path].set_default_timeout(60_000)
        opened[path].goto(f"{server}/{path}?track=quickstart")
        opened[path].get_by_text("fills by itself").wait_for()
    fill("quickstart", seeds=1)
    for path, tab in opened.items():
        tab.bring_to_front()
        tab.locator(".js-plotly-plot").first.wait_for()  # without a reload
        expect(tab.get_by_text("fills by itself"), path).to_have_count(0)
    assert page.errors == []


def test_every_other_page_works_in_a_browser(fill, server, page):
    fill(
        "guo-fashion-binary",
        seeds=2,
        status=lambda trial: "failed" if trial.entry.strength == 1.6 else "finished",
    )
    page.goto(f"{server}/leaderboard?track=guo-fashion-binary")
    settled(page, "Leaderboard")
    pages = {  # link → heading, and how many charts at least
        "Find a method": ("Find a method", 2),
        "Margins": ("Margins", 7),
        "Robustness": ("Robustness curves", 4),
        "Theory": ("Theory", 2),
        "Compare": ("Compare", 4),
        "Method": ("Method", 2),
        "Paper figures": ("Paper figures", 0),
        "Runs": ("Runs", 0),
        "Submit": ("Submit a regularizer", 0),
        "About": ("About", 0),
        "Overview": ("RegBench", 0),
    }
    for name, (heading, charts) in pages.items():
        page.get_by_role("link", name=name, exact=True).first.click()
        settled(page, heading)
        if charts:
            page.locator(".js-plotly-plot").nth(charts - 1).wait_for()
        keep(page, name.lower().replace(" ", "-"))
    assert page.errors == []


def test_both_pages_work_in_a_browser(fill, server, page):
    fill(
        "quickstart",
        status=lambda trial: (
            None if trial.entry.regularizer == "curvature" and trial.seed == 2 else "finished"
        ),
    )
    fill("guo-fashion-binary", seeds=3)
    page.goto(f"{server}/leaderboard")
    settled(page, "Leaderboard")
    page.locator("[data-testid=stDataFrame]").first.wait_for()
    page.locator(".js-plotly-plot").first.wait_for()
    keep(page, "leaderboard")

    page.get_by_role("combobox", name="Track").click()  # the track picker
    page.get_by_role("option", name="guo-fashion-binary").click()
    page.get_by_role("heading", name="LeNet-5").wait_for()
    settled(page, "Leaderboard")
    page.wait_for_url("**track=guo-fashion-binary**")

    page.get_by_role("textbox", name="Search methods").fill("curvature")  # a filter
    page.get_by_role("textbox", name="Search methods").press("Enter")
    page.wait_for_url("**search=curvature**")
    settled(page, "Leaderboard")
    legend = page.locator(".js-plotly-plot").first.locator(".legendtext")
    expect(legend).to_have_text(["curvature"])
    page.goto(f"{server}/leaderboard?track=guo-fashion-binary")
    settled(page, "Leaderboard")

    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    assert (
        download.value.path()
        .read_text()
        .startswith("track,architecture,rank,rank_high,regularizer,lambda,")
    )

    page.get_by_role("link", name="Equivalence").click()
    settled(page, "Equivalence")
    page.get_by_text("The largest measured gap").wait_for()
    page.locator(".js-plotly-plot").nth(5).wait_for()  # clean accuracy and five threats
    keep(page, "equivalence")

    page.goto(
        f"{server}/equivalence?track=guo-fashion-binary&architecture=lenet_5&method=curvature&method=none"
    )  # a deep link
    settled(page, "Equivalence")
    scores = page.locator(".js-plotly-plot").filter(has=page.locator(".legendtext")).first
    expect(scores.locator(".legendtext")).to_have_text(["none", "curvature"])
    expect(page.get_by_role("combobox", name="Architecture")).to_have_value("LeNet-5")
    assert page.errors == []


def test_every_page_fits_a_phone_in_the_dark(fill, server, page):
    fill("quickstart", seeds=2)
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 400, "height": 900})
    for path, heading in (
        ("", "RegBench"),
        ("leaderboard", "Leaderboard"),
        ("find", "Find a method"),
        ("equivalence", "Equivalence"),
        ("margins", "Margins"),
        ("compare", "Compare"),
        ("robustness", "Robustness curves"),
        ("method", "Method"),
        ("runs", "Runs"),
    ):
        page.goto(f"{server}/{path}" + ("?track=quickstart" if path else ""))
        settled(page, heading)
        # The page scrolls within this container: the document's own width stays as it is.
        main = page.locator("[data-testid=stMain]")
        assert main.evaluate("main => main.scrollWidth") <= 400, path
        red, green, blue = page.evaluate(
            "getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
            ".match(/[0-9]+/g).slice(0, 3).map(Number)"
        )
        assert max(red, green, blue) < 60, path
        page.screenshot(path=OUTPUT / f"phone-{heading.lower().replace(' ', '-')}.png")
    assert page.errors == []


def test_a_click_on_a_point_shows_its_trials_and_what_repeats_them(fill, server, page):
    fill("quickstart")
    page.set_viewport_size({"width": 1440, "height": 1400})
    page.goto(f"{server}/leaderboard?track=quickstart&sort=clean")
    settled(page, "Leaderboard")
    plot = page.locator(".js-plotly-plot").first
    plot.wait_for()
    page.wait_for_timeout(1500)
    plot.locator(".nsewdrag").first.scroll_into_view_if_needed()
    box = plot.locator(".scatterlayer .point").last.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.get_by_text("Behind the point: 3 trials").wait_for()
    # The table has the command too, in a cell that only a screen reader finds.
    command = page.locator("code", has_text="regbench run 'digits/lenet_300_100/")
    expect(command.first).to_be_visible()
    expect(page.get_by_text("@software{regbench")).to_have_count(1)
    page.get_by_role("button", name="Link to this view").click()
    page.get_by_text("track=quickstart&sort=clean").wait_for()
    assert page.errors == []


def test_the_open_tab_is_in_the_address_and_opens_again(fill, server, page):
    fill("guo-fashion-binary", seeds=2)
    page.goto(f"{server}/equivalence?track=guo-fashion-binary")
    settled(page, "Equivalence")
    page.get_by_role("tab", name="Against clean accuracy").click()
    page.wait_for_url("**view=Against*clean*")
    page.goto(page.url)
    settled(page, "Equivalence")
    tab = page.get_by_role("tab", name="Against clean accuracy")
    expect(tab).to_have_attribute("aria-selected", "true")
    assert page.errors == []


# Of each chart that is seen: its title, and what of its words is cut off or covered.
CLIPPED = """plots => plots.filter(plot => plot.offsetWidth).map(plot => {
    const box = part => part.getBoundingClientRect(), all = name => [...plot.querySelectorAll(name)]
    const frame = box(plot.querySelector('.main-svg')), axes = box(plot.querySelector('.nsewdrag'))
    const inside = ({top, bottom, left, right}) =>
        frame.top <= top && bottom <= frame.bottom && frame.left <= left && right <= frame.right
    const words = ['.gtitle', '.xtitle', '.ytitle', '.legend', '.legendtext'].flatMap(all)
    const found = words.filter(part => !inside(box(part))).map(part => part.textContent)
    if (all('.gtitle').some(part => box(part).bottom > axes.top)) found.push('title over the axes')
    for (const legend of all('.legend'))
        if (all('.xtitle').some(part => box(part).bottom > box(legend).top)) found.push('legend')
    if (all('.scrollbar').some(bar => box(bar).height)) found.push('a legend that scrolls')
    return [plot.querySelector('.gtitle').textContent, found]})"""


def test_no_text_of_a_chart_is_clipped_or_covered_on_a_phone(fill, server, page):
    fill("guo-fashion-binary", seeds=2)
    page.set_viewport_size({"width": 400, "height": 900})
    pages = {"leaderboard": "Leaderboard", "compare": "Compare"}
    for path, heading in pages.items():
        page.goto(f"{server}/{path}?track=guo-fashion-binary")
        settled(page, heading)
        page.locator(".js-plotly-plot").first.wait_for()
        page.wait_for_timeout(1500)
        found = page.locator(".js-plotly-plot").evaluate_all(CLIPPED)
        assert found and not [chart for chart in found if chart[1]], path
