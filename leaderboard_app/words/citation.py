"""How to cite a method and the benchmark, as BibTeX."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from registry.spec import Card

BENCHMARK = "RegBench: a benchmark and leaderboard of regularizers against adversarial examples"
SHORT = 12  # digits of a commit
# `Hein & Andriushchenko, Formal Guarantees, NIPS 2017, appendix`, or `Guo et al., …`
PAPER = re.compile(
    r"(?:.+? et al\.|.+? & [^,]+|[^,]+), (?P<title>.+?), (?P<venue>[^,]*?) ?\d{4}(?P<place>.*)"
)


def of_method(card: Card) -> str:
    """The paper of a method, from what its card says of it; of several the first. What cannot be
    parted into title and venue stays whole.
    """
    first, authors = card.paper.split("; ")[0], card.authors.split("; ")[0]
    fields = {"author": authors.replace(", ", " and ")}
    found = PAPER.fullmatch(first)
    fields |= {"title": found["title"]} if found else {"note": card.paper}
    if found and found["venue"]:
        fields["howpublished"] = found["venue"] + found["place"]
    return _entry("misc", card.name, fields | {"year": str(card.year)})


def of_benchmark(commits: Sequence[str] = ()) -> str:
    """The benchmark, with the commits that made the rows, where they are known."""
    said = {"version": _version()}
    if commits:
        said["note"] = "Rows of " + ", ".join(f"commit {commit[:SHORT]}" for commit in commits)
    fields = {"author": "{The RegBench authors}", "title": BENCHMARK}
    return _entry("software", "regbench", fields | said)


def _version() -> str:
    try:
        return version("regbench")
    except PackageNotFoundError:  # a host that installs only the app's requirements
        return "unreleased"


def _entry(kind: str, key: str, fields: dict[str, str]) -> str:
    lines = [f"  {name} = {{{_escaped(text)}}}," for name, text in fields.items()]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])


def _escaped(text: str) -> str:
    return re.sub(r"([&%#_$])", r"\\\1", text)
