"""The pages that are written elsewhere: the repository's documents, and what the registry, the
commands and the schemas say of themselves.
"""

from __future__ import annotations

import html
import json
import posixpath
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import figures
import pandas as pd
import typer.main
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from benchmark.commands.main import app
from benchmark.ranking.board import board
from benchmark.ranking.paper_claims import budget
from benchmark.ranking.placement import place, placements
from benchmark.records import open_store
from benchmark.records.flags import CHECKS
from benchmark.records.store import Store
from registry.load import Registry
from registry.places import clone
from registry.spec import Method, Track

ROOT = clone() or Path.cwd()
DOCUMENTS = {
    "README.md": "index.md",
    "submissions/README.md": "submit.md",
    "registry/results/README.md": "results.md",
    "CONTRIBUTING.md": "contribute.md",
    "tests/speed/README.md": "speed.md",
    "CHANGELOG.md": "changes.md",
}
PICTURE = "leaderboard_app/screenshot.png"
Boards = Mapping[str, pd.DataFrame]  # of the tracks with registered rows
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
# Of a notebook: its prose, the formulas in it, and a script of its theme's that would draw them.
PROSE = re.compile(r'(<div class="[^"]*jp-RenderedMarkdown[^"]*"[^>]*>)(.*?)(?=</div>)', re.DOTALL)
TEX = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$", re.DOTALL)
MATHJAX = re.compile(r"<!-- Load mathjax -->.*?<!-- End of mathjax configuration -->", re.DOTALL)
FIGURES = re.compile(r'<div data-figures="([^"]*)"></div>')
DRAWN: dict[str, str] = {}  # a track's name, or "equivalence" → its figures, as HTML
# Above which headings of a document figures stand.
ABOVE = {"## What the papers claim": budget.TRACK, "## The papers' own": "equivalence"}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#:\s]+)(#[^)]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Appends the pages of methods and tracks to their sections."""
    registry = Registry()
    pages = {
        "Methods": list(dict(methods(registry, {}))),
        "Tracks": list(dict(tracks(registry, {}))),
    }
    for section in config.nav:
        for title in pages.keys() & section.keys():
            section[title] = pages[title]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds every page that is written elsewhere."""
    for path, page in DOCUMENTS.items():
        files.append(File.generated(config, page, content=document(path)))
    files.append(File.generated(config, PICTURE, content=(ROOT / PICTURE).read_bytes()))
    registry = Registry()
    look = figures.style_of(registry)
    with tempfile.TemporaryDirectory() as nothing_ran:
        store = open_store(Path(nothing_ran))
        standing = boards(registry, store)
        DRAWN["equivalence"] = figures.equivalences(registry, store, look)
    for name, rows in standing.items():
        DRAWN[name] = figures.trade_offs(registry.track(name), rows, look)
    files.append(File.generated(config, figures.SCRIPT, content=figures.script()))
    generated = {
        "reference/commands.md": commands(),
        "reference/json.md": answers(),
        "reference/flags.md": flags(),
        **dict(methods(registry, standing)),
        **dict(tracks(registry, standing)),
    }
    for page, content in generated.items():
        files.append(File.generated(config, page, content=content))
    return files


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Formulas as MathML, which browsers draw themselves: no script from elsewhere."""

    def drawn(match: re.Match[str]) -> str:
        return mathml(match[2], is_block=match[1] == "div")

    def in_prose(match: re.Match[str]) -> str:
        return match[1] + TEX.sub(lambda tex: mathml(tex[1] or tex[2], bool(tex[1])), match[2])

    if page.file.src_uri.startswith("notebooks/"):
        return PROSE.sub(in_prose, MATHJAX.sub("", content))
    content = FORMULA.sub(drawn, content)
    if not FIGURES.search(content):
        return content
    up = "../" * page.url.count("/")
    loaded = f'<script src="{up}{figures.SCRIPT}"></script>\n'
    return loaded + FIGURES.sub(lambda which: DRAWN.get(which[1], ""), content)


def place_of(figure: str) -> str:
    """Where the figures of that name will stand, in Markdown."""
    return f'<div data-figures="{figure}"></div>\n\n'


def mathml(tex: str, is_block: bool) -> str:
    """A formula, as HTML holds it, to be drawn by the browser."""
    return convert(html.unescape(tex), display="block" if is_block else "inline")


def document(path: str) -> str:
    """A document of the repository, whose links lead to pages where there are any; what is no page
    is named as a path.
    """

    def link(match: re.Match[str]) -> str:
        picture, text, target, anchor = match.groups()
        place = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        if picture:
            return f"![{text}]({place})"
        if place.startswith("docs/"):
            return f"[{text}]({place.removeprefix('docs/')}{anchor or ''})"
        if place in DOCUMENTS:
            return f"[{text}]({DOCUMENTS[place]}{anchor or ''})"
        return text if "`" in text else f"{text} (`{place}`)"

    text = LINK.sub(link, (ROOT / path).read_text())
    for heading, figure in ABOVE.items():
        text = text.replace(f"\n{heading}", f"\n{place_of(figure)}{heading}")
    return text


def boards(registry: Registry, store: Store) -> dict[str, pd.DataFrame]:
    """The board of every track that has registered rows, whatever ran on this machine."""
    found = {}
    for name in registry.track_names:
        trials = [trial for _, trial in registry.select([name])]
        table = board(registry.track(name), trials, store)
        if len(table) and table["seeds"].any():
            found[name] = table
    return found


def methods(registry: Registry, standing: Boards) -> Iterator[tuple[str, str]]:
    """A page for each registered or submitted method, from its card, and one that lists them."""
    found = [registry.regularizer(name) for name in sorted(registry.regularizer_folders)]
    rows = [
        (f"[{m.card.title}]({m.card.name}.md)", m.card.year, f"\\({m.card.formula}\\)")
        for m in found
    ]
    yield "methods/index.md", "# Methods\n\n" + table(("method", "year", "adds to the loss"), rows)
    for method in found:
        stands = [
            f"- {line}\n"
            for name, table in standing.items()
            for line in placements(registry.track(name), table, method.card.name)
        ]
        yield f"methods/{method.card.name}.md", method_page(method, "".join(stands))


def method_page(method: Method, stands: str) -> str:
    card = method.card
    facts = [
        ("name", f"`{card.name}`"),
        ("paper", card.paper),
        ("authors", card.authors),
        ("λ", card.lambda_means),
        ("grid of λ", ", ".join(f"{value:g}" for value in card.grid)),
        ("BatchNorm", card.batch_norm),
        ("forward passes a step, beside the plain one's", card.extra_forwards),
        ("backward passes", card.extra_backwards),
        ("needs a smooth activation", "yes" if card.smooth_activation else "no"),
        ("trains stacked", "yes" if card.stackable else "no"),
        ("code's licence", card.licence),
    ]
    params = [(f"`{name}`", param.default, param.doc) for name, param in card.params.items()]
    code = (method.folder / "regularizer.py").read_text()
    options = "## Parameters\n\n" + table(("name", "default", ""), params) if params else ""
    stands = f"## Where it stands\n\n{stands or 'No rows are registered.'}\n"
    return (
        f"# {card.title}\n\n\\[{card.formula}\\]\n\n{table(('', ''), facts)}\n{options}\n"
        f"{stands}\n## Code\n\n```python\n{code}```\n"
    )


def tracks(registry: Registry, standing: Boards) -> Iterator[tuple[str, str]]:
    """A page for each track, which is its file read aloud, and one that lists them."""
    found = [registry.track(name) for name in registry.track_names]
    rows = [
        (f"[{track.title}]({page_of(track)})", f"`{track.name}`", track.dataset, track.seeds)
        for track in found
    ]
    yield "tracks/index.md", "# Tracks\n\n" + table(("track", "name", "data", "seeds"), rows)
    for track in found:
        yield f"tracks/{page_of(track)}", track_page(registry, track, standing.get(track.name))


def track_page(registry: Registry, track: Track, rows: pd.DataFrame | None) -> str:
    source = registry.track_files[track.name].read_text()
    threats = ", ".join(f"`{threat.id}`" for threat in track.threats)
    entries = len(registry.entries(track.name))
    return (
        f"# {track.title}\n\n{entries} entries, {track.seeds} seeds each. Threats: {threats}; "
        f"ranked by `{track.ranking}`.\n\n```\nregbench plan {track.name}\n"
        f"regbench rank {track.name}\n```\n\n## Standings\n\n{place_of(track.name)}"
        f"{standings(track, rows)}\n"
        f"## Protocol\n\n```toml\n{source}```\n"
    )


def standings(track: Track, rows: pd.DataFrame | None) -> str:
    """What is registered, as a table a network."""
    if rows is None:
        return "No rows are registered.\n"
    head = ("rank", "method", "λ", "clean, %", f"`{track.ranking}`, %", "cost ×")
    seeds = int(rows["seeds"].max())
    said = [f"Of {seeds} seed{'' if seeds == 1 else 's'}; the rank is an interval.\n"]
    for network, mine in rows.groupby("architecture", sort=False):
        cells = [
            (
                place(row["rank"], row["rank_high"]),
                row["regularizer"],
                number(row["lambda"]),
                number(100 * row["clean"]),
                number(100 * row[track.ranking]),
                number(row["cost"]),
            )
            for row in mine.to_dict("records")
        ]
        said.append(f"### {network}\n\n{table(head, cells)}")
    return "\n".join(said)


def number(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.3g}"


def page_of(track: Track) -> str:
    return f"{track.name.replace('@', '-')}.md"


def commands() -> str:
    """Every command as its own help says it."""
    group: Any = typer.main.get_command(app)
    with group.context_class(group, info_name="regbench") as context:
        return "\n".join(["# Command line\n", *helps(context)])


def helps(context: Any) -> Iterator[str]:
    """Of every command of a group, and of every group within it."""
    for name, command in sorted(context.command.commands.items()):
        with command.context_class(command, info_name=name, parent=context) as inner:
            if hasattr(command, "commands"):
                yield from helps(inner)
            else:
                heading = inner.command_path.removeprefix("regbench ")
                yield f"## {heading}\n\n```text\n{command.get_help(inner)}\n```\n"


def answers() -> str:
    """Every schema of what `--json` prints."""
    said = ["# JSON\n\nWhat `--json` prints, as JSON Schema; the tests hold the output to it.\n"]
    for path in sorted((ROOT / "benchmark" / "commands" / "schemas").glob("*.json")):
        title = json.loads(path.read_text())["title"]
        said.append(f"## {path.stem}\n\n{title}.\n\n```json\n{path.read_text()}```\n")
    return "\n".join(said)


def flags() -> str:
    """Every sign that the attacks on a model cannot be believed."""
    rows = [(f"`{name}`", check.tell(check.limit), check.limit) for name, check in CHECKS.items()]
    return (
        "# Flags\n\nSigns that the attacks on a model cannot be believed, or that nobody but its "
        "author can say how it was trained: each is a number beside the scores, and above its "
        "limit the row is shown but not ranked. The symptoms are those of Athalye, Carlini "
        "& Wagner 2018 (section 3.1) and Carlini et al. 2019.\n\n"
        + table(("flag", "what it says, at its limit", "limit"), rows)
    )


def table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    cells = [[str(cell).replace("|", "\\|") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)
