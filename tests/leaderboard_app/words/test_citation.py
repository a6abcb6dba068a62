"""BibTeX of every registered method and of the benchmark."""

import re

import pytest

from leaderboard_app.words import citation
from registry.load import Registry

KNOWN = Registry()
METHODS = [
    name
    for name in sorted(KNOWN.regularizer_folders)
    if not KNOWN.regularizer(name).card.is_control
]


def fields(text):
    return dict(re.findall(r"^  (\w+) = \{(.*)\},$", text, re.MULTILINE))


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_cited_by_its_papers_authors_title_and_year(name):
    card = KNOWN.regularizer(name).card
    text = citation.of_method(card)
    assert text.startswith(f"@misc{{{name},") and text.count("{") == text.count("}")
    found = fields(text)
    assert found["year"] == str(card.year)
    assert all(author in card.authors for author in found["author"].split(" and "))
    if card.authors == "The RegBench authors":
        assert "title" not in found and found["note"].replace("\\", "") == card.paper
        return
    assert found["title"].replace("\\", "") in card.paper
    first = found["author"].split(" and ")[0].split()[-1]
    assert first not in found["title"]  # the names stand before the title
    assert not re.search(r"\d{4}", found["title"] + found.get("howpublished", ""))


@pytest.mark.parametrize(
    ("paper", "title", "venue"),
    [
        (
            "Hein & Andriushchenko, Formal Guarantees, NIPS 2017",
            "Formal Guarantees",
            "NIPS",
        ),
        (
            "Moosavi et al., Curvature, and Vice Versa, CVPR 2019",
            "Curvature, and Vice Versa",
            "CVPR",
        ),
        ("Yoshida & Miyato, Spectral Norm, 2017", "Spectral Norm", None),
        (
            "Roth, Kilcher & Hofmann, Norms, NeurIPS 2020, appendix",
            "Norms",
            "NeurIPS, appendix",
        ),
        ("My own idea; unpublished", None, None),
    ],
)
def test_title_and_venue_are_told_apart(paper, title, venue):
    card = KNOWN.regularizer("jacobian").card.model_copy(update={"paper": paper})
    found = fields(citation.of_method(card))
    assert (found.get("title"), found.get("howpublished")) == (title, venue)
    if title is None:
        assert found["note"] == paper


def test_the_benchmark_is_cited_with_the_commits_that_made_the_rows():
    found = fields(citation.of_benchmark(["a" * 40, "b" * 40]))
    assert found["note"] == "Rows of commit aaaaaaaaaaaa, commit bbbbbbbbbbbb"
    assert "note" not in fields(citation.of_benchmark())
