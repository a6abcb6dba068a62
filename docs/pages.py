"""The pages that are written elsewhere: the repository's documents, and what the registry, the
commands and the schemas say of themselves.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from benchmark.commands.main import app
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
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#:\s]+)(#[^)]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Appends the pages of methods and tracks to their sections."""
    registry = Registry()
    pages = {"Methods": list(dict(methods(registry))), "Tracks": list(dict(tracks(registry)))}
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
    generated = {
        "reference/commands.md": commands(),
        "reference/json.md": answers(),
        **dict(methods(registry)),
        **dict(tracks(registry)),
    }
    for page, content in generated.items():
        files.append(File.generated(config, page, content=content))
    return files


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

    return LINK.sub(link, (ROOT / path).read_text())


def methods(registry: Registry) -> Iterator[tuple[str, str]]:
    """A page for each registered or submitted method, from its card, and one that lists them."""
    found = [registry.regularizer(name) for name in sorted(registry.regularizer_folders)]
    rows = [
        (f"[{m.card.title}]({m.card.name}.md)", m.card.year, f"\\({m.card.formula}\\)")
        for m in found
    ]
    yield "methods/index.md", "# Methods\n\n" + table(("method", "year", "adds to the loss"), rows)
    for method in found:
        yield f"methods/{method.card.name}.md", method_page(method)


def method_page(method: Method) -> str:
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
    return (
        f"# {card.title}\n\n\\[{card.formula}\\]\n\n{table(('', ''), facts)}\n{options}\n"
        f"## Code\n\n```python\n{code}```\n"
    )


def tracks(registry: Registry) -> Iterator[tuple[str, str]]:
    """A page for each track, which is its file read aloud, and one that lists them."""
    found = [registry.track(name) for name in registry.track_names]
    rows = [
        (f"[{track.title}]({page_of(track)})", f"`{track.name}`", track.dataset, track.seeds)
        for track in found
    ]
    yield "tracks/index.md", "# Tracks\n\n" + table(("track", "name", "data", "seeds"), rows)
    for track in found:
        source = registry.track_files[track.name].read_text()
        threats = ", ".join(f"`{threat.id}`" for threat in track.threats)
        entries = len(registry.entries(track.name))
        yield (
            f"tracks/{page_of(track)}",
            f"# {track.title}\n\n{entries} entries, {track.seeds} seeds each. Threats: {threats}; "
            f"ranked by `{track.headline}`.\n\n```\nregbench plan {track.name}\n"
            f"regbench rank {track.name}\n```\n\n## Protocol\n\n```toml\n{source}```\n",
        )


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


def table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    cells = [[str(cell).replace("|", "\\|") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)
