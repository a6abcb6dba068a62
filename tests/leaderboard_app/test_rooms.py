"""The app's own order: a page draws, and the table module of its name computes."""

import ast

import pytest

from .pages import APP, PAGES

FOLDER = APP.parent
WITHOUT = ("about", "figures", "runs", "submit")  # pages that compute nothing


def imported(path):
    """The packages whose modules a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("page", PAGES)
def test_a_page_leaves_its_numbers_to_the_table_module_of_its_name(page):
    path = FOLDER / page
    if path.stem not in WITHOUT:
        assert (FOLDER / "tables" / path.name).exists()
        assert not imported(path) & {"numpy", "pandas", "scipy"}


def test_the_app_has_few_names_and_short_files():
    names = [path.name for path in FOLDER.iterdir() if not path.name.startswith((".", "__pycache"))]
    assert len(names) <= 10
    lengths = {path: len(path.read_text().splitlines()) for path in FOLDER.rglob("*.py")}
    assert {path for path, length in lengths.items() if length > 260} == set()
