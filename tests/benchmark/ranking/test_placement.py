"""`regbench submit` says of a method what `regbench rank` prints of it."""

import math
import re
import shutil

import pytest

from benchmark.commands.rank import rank
from benchmark.ranking.board import board
from benchmark.ranking.placement import on_fewer_images, placements
from benchmark.records import open_store
from benchmark.review.submit import where_it_stands
from registry.load import HERE, Registry

LIKE, MINE = "cross_lipschitz", "mine"
TRACK = "quickstart"
ENTRIES = '[[entry]]\ntrack = "quickstart"\nlambda = [0.01, 0.1, 0.4]\n'
TOLD = re.compile(
    r"(?P<method>\S+) on quickstart, lenet_300_100: (?P<score>[0-9.]+)% under \S+ at "
    r"λ = (?P<strength>\S+), rank (?P<rank>\S+) of (?P<ranked>\d+)(, tied with (?P<tied>.+))?"
)


@pytest.fixture(scope="module")
def submission(tmp_path_factory):
    """A submission with the code of a registered method, whose registered rows are then its own:
    they have the same keys.
    """
    folder = tmp_path_factory.mktemp("registered")
    (folder / "results").mkdir()
    for suffix in ("jsonl", "parquet"):
        shutil.copy(HERE / "results" / f"{TRACK}.{suffix}", folder / "results")
    mine = folder / "submissions" / MINE
    shutil.copytree(HERE / "regularizers" / LIKE, mine)
    card = mine / "card.toml"
    card.write_text(card.read_text().replace(f'name = "{LIKE}"', f'name = "{MINE}"'))
    (mine / "entries.toml").write_text(ENTRIES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGBENCH_RESULTS", str(folder / "results"))
        patch.setenv("REGBENCH_SUBMISSIONS", str(mine.parent))
        patch.setenv("REGBENCH_HOME", str(folder / "home"))
        yield Registry()


def printed(capsys):
    """Method → the cells of its line of `regbench rank`, by the words of the header."""
    rank([TRACK])
    found, header = {}, []
    for line in capsys.readouterr().out.splitlines():
        words = re.split(r"\s{2,}", line.strip())
        if words[0] == "rank":
            header = words
        elif header and re.fullmatch(r"–|\d+(–\d+)?", words[0]):
            found[words[1]] = dict(zip(header, words))
    return found


def ends(place):
    first, _, last = place.partition("–")
    return set(range(int(first), int(last or first) + 1))


def test_submit_says_what_rank_says_of_the_registered_rows(submission, capsys):
    track = submission.track(TRACK)
    trials = [trial for _, trial in submission.select([TRACK])]
    table = board(track, trials, open_store())
    rows = printed(capsys)
    ranks = {name: ends(row["rank"]) for name, row in rows.items()}
    assert len(rows) == 7
    for name, row in rows.items():
        (line,) = placements(track, table, name)
        told = TOLD.fullmatch(line)
        assert told, line
        assert told["rank"] == row["rank"]
        assert told["strength"] == row["λ"].split()[0]
        assert told["score"] == row[track.headline].split()[0]
        assert int(told["ranked"]) == len(rows)
        tied = [other for other in rows if other != name and ranks[other] & ranks[name]]
        assert (told["tied"] or "") == ", ".join(tied)
        if name == MINE:
            assert LIKE in tied
            assert where_it_stands(submission, MINE) == [line]


def test_fewer_images_of_the_certificates_are_told():
    unknown = {"certified_images": math.nan, "worst_images": 360.0}
    fewer = {"certified_images": 200.0, "worst_images": 1000.0}
    assert on_fewer_images([unknown, fewer]) == (
        "certified: of the first 200 test images; worst case: of the first 1,000"
    )
    assert on_fewer_images([unknown, fewer | {"worst_images": 200.0}]) == ""
