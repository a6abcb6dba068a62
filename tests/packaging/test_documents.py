"""What the documents name is there: files, modules and their names, commands."""

import importlib
import re
from functools import reduce

import pytest
import torch
from torch import nn

from benchmark.commands.main import app
from benchmark.regularizer import Step
from registry.places import HERE

ROOT = HERE.parent
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "submissions/README.md", "registry/results/README.md")
WRITTEN = ("README.md", "CONTRIBUTING.md", "submissions/README.md")
PACKAGES = "benchmark|registry|leaderboard_app"


def text(document):
    return (ROOT / document).read_text()


def code(document):
    return re.findall(r"`([^`\n]+)`", text(document))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_files_of_the_repository(document):
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", text(document))
    paths = [target for target in targets if "://" not in target]
    folder = (ROOT / document).parent
    assert [name for name in paths if not (folder / name).exists()] == []
    # The site has a page for a file; for a folder it has none.
    pages = [folder / name for name in paths if name.startswith("docs/")]
    assert [page for page in pages if not page.is_file()] == []


@pytest.mark.parametrize("document", WRITTEN)
def test_paths_in_running_text_are_there(document):
    pattern = rf"(?:{PACKAGES}|tests|submissions|\.ci)/[\w./]*"
    paths = [span for span in code(document) if re.fullmatch(pattern, span)]
    made = {"submissions/my_method"}  # by the commands that the text goes through
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert set(missing) <= made
    assert paths


@pytest.mark.parametrize("document", WRITTEN)
def test_dotted_names_import(document):
    pattern = rf"\b((?:{PACKAGES})(?:\.\w+)+)(?!\S*/)"
    for span in code(document):
        for name in re.findall(pattern, span):
            if not name.endswith((".py", ".toml", ".md", ".txt")):
                found(name)


def found(name):
    """What a dotted name means. Raises where it means nothing."""
    module, names = name, []
    while True:
        try:
            return reduce(getattr, names, importlib.import_module(module))
        except ModuleNotFoundError:
            module, _, last = module.rpartition(".")
            if not module:
                raise
            names.insert(0, last)


@pytest.mark.parametrize("document", WRITTEN)
def test_commands_are_those_of_the_command_line(document):
    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    known |= {group.name for group in app.registered_groups}
    typed = re.findall(r"(?:^|`|\s)regbench ([a-z]+)\b", text(document), re.M)
    assert set(typed) <= known
    assert typed


def test_what_the_protocol_says_of_a_step_is_what_a_step_has():
    _, _, table = text("submissions/README.md").partition("| `step.` | is |")
    rows = [line for line in table.partition("\n\n")[0].splitlines() if line.startswith("| `")]
    cells = [row.split("|")[1] for row in rows]
    names = re.findall(r"`(\w+)", " ".join(cells))
    assert len(names) >= 15
    step = Step(nn.Flatten(), torch.rand(2, 1, 2, 2), torch.tensor([0, 3]))
    assert [name for name in names if not hasattr(step, name)] == []


def test_the_map_names_every_room():
    text_of_map = text("CONTRIBUTING.md").partition("```\n")[2].partition("```")[0]
    rooms = [path.parent.name for path in (ROOT / "benchmark").glob("*/__init__.py")]
    assert len(rooms) >= 12
    assert [room for room in rooms if not re.search(rf"\b{room}\b", text_of_map)] == []


def test_the_answers_name_classes_and_functions_of_the_files_beside_them():
    answers = re.findall(
        r"`([\w.]+)`(?: and `([\w.]+)`)? in `([\w/]+\.py)`", text("CONTRIBUTING.md")
    )
    assert len(answers) >= 3
    for *names, path in answers:
        module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
        for name in filter(None, names):
            reduce(getattr, name.split("."), module)
