"""`regbench submit` says of a method what `regbench rank` prints of it."""

import re
import shutil

import pytest

from benchmark.commands.rank import rank
from benchmark.review.submit import where_it_stands
from registry.load import HERE, Registry

SUBMITTED = "linearised_distance"
TRACKS = ("guo-fashion-binary", "guo-fashion")
TOLD = re.compile(
    r"(?P<method>\S+) on (?P<track>\S+), (?P<network>\S+): (?P<score>[0-9.]+)% under \S+ at "
    r"λ = (?P<strength>\S+), rank (?P<rank>\S+) of (?P<ranked>\d+)(, tied with (?P<tied>.+))?"
)
UNRANKED = re.compile(r"(?P<method>\S+) on (?P<track>\S+), (?P<network>\S+): not ranked: (.+)")


@pytest.fixture(scope="module")
def registered_rows(tmp_path_factory):
    """The registered rows of the tracks that a submission joined, with the submission's own."""
    folder = tmp_path_factory.mktemp("registered")
    results = folder / "results"
    results.mkdir()
    for track in TRACKS:
        shutil.copy(HERE / "results" / f"{track}.jsonl", results)
    shutil.copy(
        HERE.parent / "submissions" / SUBMITTED / "results.jsonl", results / "submitted.jsonl"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGBENCH_RESULTS", str(results))
        patch.setenv("REGBENCH_HOME", str(folder / "home"))
        # So many seeds are registered; that a rank takes more is another test's.
        patch.setattr("benchmark.ranking.standings.SEEDS_OF_A_RANK", 2)
        yield


def printed(track, capsys):
    """Network → method → the cells of its line, of everything that `regbench rank` prints."""
    rank([track])
    found, cells, header = {}, {}, []
    for line in capsys.readouterr().out.splitlines():
        words = re.split(r"\s{2,}", line.strip())
        if line in Registry().track(track).architectures:
            found[line] = cells = {}
        elif words[0] == "rank":
            header = words
        elif match := re.match(r" *(–|\d+(?:–\d+)?) +(\S+) {2,}(.+)", line):
            row = dict(zip(header, [match[1], match[2], *re.split(r"\s{2,}", match[3])]))
            cells[row["method"]] = row
    return found


def ends(place):
    first, _, last = place.partition("–")
    return set(range(int(first), int(last or first) + 1))


def test_submit_says_what_rank_says_of_the_registered_rows(registered_rows, capsys):
    boards = {track: printed(track, capsys) for track in TRACKS}
    everywhere = where_it_stands(Registry(), SUBMITTED)
    lines = [line for line in everywhere if any(f" on {track}, " in line for track in TRACKS)]
    assert len(lines) == sum(len(board) for board in boards.values())
    for line in lines:
        told = TOLD.fullmatch(line) or UNRANKED.fullmatch(line)
        assert told, line
        rows = boards[told["track"]][told["network"]]
        mine = rows[SUBMITTED]
        if told.re is UNRANKED:
            assert mine["rank"] == "–"
            continue
        headline = Registry().track(told["track"]).headline
        assert (told["rank"], told["strength"]) == (mine["rank"], mine["λ"].split()[0])
        assert told["score"] == mine[headline].split()[0]
        ranks = {name: ends(row["rank"]) for name, row in rows.items() if row["rank"] != "–"}
        assert int(told["ranked"]) == len(ranks)
        tied = [name for name in ranks if name != SUBMITTED and ranks[name] & ranks[SUBMITTED]]
        assert tied  # rows without a tie would say little
        assert told["tied"] == ", ".join(tied)
