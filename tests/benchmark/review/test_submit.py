"""From an idea to a verified row, by the commands that the documents name, in a copy of the
repository.
"""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from benchmark import sandbox
from benchmark.records import rows
from benchmark.records.outcome import Outcome, Score
from benchmark.review import results
from benchmark.review.check import card_gaps
from benchmark.review.plausibility import sound
from benchmark.review.repetition import differences
from registry.load import HERE, Registry
from registry.spec import InputError

pytestmark = pytest.mark.slow

ROOT = HERE.parent
README = (ROOT / "submissions" / "README.md").read_text()
needs_sandbox = pytest.mark.skipif(sandbox.refusal() is not None, reason=str(sandbox.refusal()))


def commands(text):
    """What a reader would type: the lines of code blocks, and commands in running text."""
    return [
        line
        for block in re.findall(r"```\n(.*?)```", text, re.S)
        for line in block.splitlines()
        if line.startswith("regbench ")
    ] + re.findall(r"`(regbench [^`]+)`", text)


class Clone:
    """A copy of what a clone holds, with a home of its own."""

    def __init__(self, folder):
        self.folder = folder / "clone"
        for part in ("benchmark", "registry"):
            shutil.copytree(
                ROOT / part,
                self.folder / part,
                ignore=shutil.ignore_patterns("__pycache__", "results"),
            )
        self.method = self.folder / "submissions" / "my_method"

    def type(self, command):
        environment = os.environ | {
            "REGBENCH_HOME": str(self.folder / "runs"),
            "PYTHONPATH": str(self.folder),
        }
        return subprocess.run(
            [sys.executable, "-m", "benchmark.commands", *command.split()[1:]],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def registry(self):
        return Registry(HERE, self.method.parent, "my_method")


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone in which my_method was made and submitted as the README says; trusted: the sandbox
    has tests of its own.
    """
    clone = Clone(tmp_path_factory.mktemp("submission"))
    made = clone.type("regbench new my_method")
    assert made.returncode == 0, made.stderr
    assert "regbench check submissions/my_method" in made.stdout
    card = clone.method / "card.toml"
    card.write_text(
        card.read_text()
        .replace("TODO your name", "Me")
        .replace("TODO authors, title, venue 2026; or: unp", "Unp")
    )
    clone.submitted = clone.type("regbench submit submissions/my_method --seeds 2 --trust")
    return clone


def test_every_command_of_the_documents_is_one_of_those_run_here():
    known = {
        "regbench new my_method",
        "regbench check submissions/my_method",
        "regbench check",
        "regbench check --all",
        "regbench submit submissions/my_method",
        "regbench verify submissions/my_method",
        "regbench run",
        # in tests of their own
        "regbench challenge check",
        "regbench export",
        "regbench plan 'open-fashion/*/my_method/*'",
    }
    text = (ROOT / "CONTRIBUTING.md").read_text() + README
    text += (
        (ROOT / "README.md")
        .read_text()
        .partition("## Submit a regularizer")[2]
        .partition("\n## ")[0]
    )
    typed = {
        command.partition("  ")[0].replace("<name>", "my_method") for command in commands(text)
    }
    assert typed <= known
    assert len(typed) >= 7


def test_the_notebook_example_of_the_readme_runs(home):
    code = re.search(r"```python\n(.*?)```", README, re.S)
    assert code is not None
    result = subprocess.run(
        [sys.executable, "-c", code[1]],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert result.returncode == 0, result.stderr
    assert "pgd-inf-0.1" in result.stdout


def test_submit_says_where_the_method_stands_and_writes_claimed_rows(clone):
    assert clone.submitted.returncode == 0, clone.submitted.stdout + clone.submitted.stderr
    assert "my_method: passes 22 checks" in clone.submitted.stdout
    assert clone.submitted.stdout.splitlines()[-1] == (
        "my_method on quickstart, lenet_300_100: not ranked: preliminary: 2 of the 3 seeds that a "
        "rank takes"
    )
    outcomes = results.read(clone.method / "results.jsonl")
    assert len(outcomes) == 6
    assert results.standing(outcomes) == "claimed"
    ranked = {
        "pgd-inf-0.1": 360,
        "fgsm-inf-0.1": 360,
    }  # what ranks is told of every image, the rest of a sample
    for outcome in outcomes:
        told = {
            c.threat: len(c.values)
            for c in outcome.examples
            if c.metric == "correct" and c.split == "test"
        }
        assert told.items() >= ranked.items()
    assert all(
        outcome.provenance["files"].keys() == {"card.toml", "regularizer.py", "entries.toml"}
        for outcome in outcomes
    )


def test_its_entries_join_the_track_without_changing_a_key(clone):
    result = clone.type("regbench list entries --json")
    names = {row["name"] for row in json.loads(result.stdout)}
    assert {
        f"digits/lenet_300_100/my_method/{strength}" for strength in ("0.05", "0.2", "0.5")
    } <= names
    mine = {trial.key for _, trial in clone.registry().select(["quickstart"])}
    assert {trial.key for _, trial in Registry(HERE, HERE / "none").select(["quickstart"])} < mine


def test_verify_repeats_the_rows_and_marks_them(clone, tmp_path):
    other = Clone(tmp_path)
    shutil.copytree(clone.method, other.method)
    result = other.type("regbench verify submissions/my_method --trust --workers 1")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "verified: 6 trials repeated" in result.stdout
    assert results.standing(results.read(other.method / "results.jsonl")) == "verified"


def spoilt(clone, tmp_path, change, file):
    """A registry with the submitted folder in which `change` (text → text) was made to a file."""
    folder = tmp_path / "submissions" / "my_method"
    shutil.copytree(clone.method, folder)
    text = (folder / file).read_text()
    assert change(text) != text
    (folder / file).write_text(change(text))
    return Registry(HERE, folder.parent, "my_method")


def forged(clone, tmp_path, change):
    """A registry with the submitted folder whose first row `change` (outcome → outcome) made."""
    folder = tmp_path / "submissions" / "my_method"
    shutil.copytree(clone.method, folder)
    first, *others = results.read(folder / "results.jsonl")
    rows.write(folder / "results.jsonl", [change(first), *others])
    return Registry(HERE, folder.parent, "my_method")


def changed(**fields):
    return lambda outcome: outcome.model_copy(update=fields)


def rescored(metric, value, threat="pgd-inf-0.1", split="test"):
    def apply(outcome):
        scores = [
            s.model_copy(update={"value": value})
            if (s.metric, s.threat, s.split) == (metric, threat, split)
            else s
            for s in outcome.scores
        ]
        assert tuple(scores) != outcome.scores
        return outcome.model_copy(update={"scores": tuple(scores)})

    return apply


def rehit(change, threat="pgd-inf-0.1"):
    def apply(outcome):
        columns = [
            c.model_copy(update={"values": tuple(map(change, c.values))})
            if (c.metric, c.threat, c.split) == ("correct", threat, "test")
            else c
            for c in outcome.examples
        ]
        return outcome.model_copy(update={"examples": tuple(columns)})

    return apply


def all_stand(outcome):
    """Every image stands under PGD: more than are classified correctly."""
    return rehit(lambda hit: 1)(rescored("robust_accuracy", 1.0)(outcome))


def without(threat):
    def apply(outcome):
        kept = {
            field: tuple(row for row in getattr(outcome, field) if row.threat != threat)
            for field in ("scores", "examples")
        }
        return outcome.model_copy(update=kept)

    return apply


FORGED = {
    "another key": (changed(key="0" * 16), "is not that of its own spec"),
    "another seed in words": (changed(seed=9), "seed: is 9, in the spec"),
    "another name": (changed(architecture="lenet_5"), "but its key is that of"),
    "no share of the examples": (rescored("robust_accuracy", 0.99999), "is no share of 360"),
    "above one": (rescored("robust_accuracy", 1.5), r"must be within \[0, 1\]"),
    "more robust than accurate": (all_stand, "more accurate under"),
    "hits that are not the accuracy's": (
        rehit(lambda hit: 1 - hit),
        "hits of 360, but an accuracy of",
    ),
    "hits that are none": (rehit(lambda hit: 2 * hit), "2 is among the values"),
    "a flag taken away": (rescored("vanishing_gradients", 0.9, "honesty"), "its flags are not"),
    "a part missing": (without("deepfool-2"), "deepfool-2 on test images is missing"),
    "training for nothing": (changed(train_seconds=0.0), "takes iterations and seconds"),
    "no standing": (changed(provenance={}), "standing must be"),
}


@pytest.mark.parametrize("case", FORGED)
def test_results_that_cannot_be_are_refused_in_one_line(clone, tmp_path, case):
    change, expected = FORGED[case]
    registry = forged(clone, tmp_path, change)
    with pytest.raises(InputError, match=expected):
        sound(registry, "my_method")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda text: text + text.partition("\n")[0] + "\n", "line 7: lists: are not those"),
        (lambda text: text[:-100], "line 6: is no sound row"),
        (lambda text: text.replace('"seed":0', '"seed":1', 1), "changed since it was written"),
    ],
)
def test_results_that_were_edited_by_hand_are_refused(clone, tmp_path, change, expected):
    registry = spoilt(clone, tmp_path, change, "results.jsonl")
    with pytest.raises(InputError, match=expected):
        sound(registry, "my_method")


def test_results_of_other_code_or_entries_are_refused(clone, tmp_path):
    registry = spoilt(
        clone, tmp_path / "code", lambda text: text + "\n# changed\n", "regularizer.py"
    )
    with pytest.raises(InputError, match=r"other code than regularizer\.py now is"):
        sound(registry, "my_method")
    registry = spoilt(
        clone, tmp_path / "entries", lambda text: text.replace("0.05, ", "0.06, "), "entries.toml"
    )
    with pytest.raises(InputError, match=r"no entry of entries\.toml"):
        sound(registry, "my_method")


def test_a_repetition_that_differs_is_listed(clone):
    claimed = results.read(clone.method / "results.jsonl")
    assert differences(claimed, claimed) == []

    def raised(outcome: Outcome) -> Outcome:
        scores = [
            s.model_copy(update={"value": s.value + 0.1}) if s.metric == "robust_accuracy" else s
            for s in outcome.scores
        ]
        return outcome.model_copy(update={"scores": tuple(scores)})

    found = differences(claimed, [raised(outcome) for outcome in claimed])
    assert len(found) == 3 * 4  # λ; three threats with ε on test images, one on validation images
    assert all("robust_accuracy" in line for line in found)
    # What the claim has of a higher tier, which is not repeated, is no difference.
    more = Score(
        threat="union-inf-0.1", split="test", metric="robust_accuracy", value=0.5, n=2, examples=2
    )
    beyond = [o.model_copy(update={"scores": (*o.scores, more)}) for o in claimed]
    assert differences(beyond, claimed) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda text: text.replace("0.05, ", ""),
            "has 2 values of λ on track quickstart, whose other methods have 3",
        ),
        (lambda text: text.replace("quickstart", "quikstart"), "did you mean 'quickstart'"),
        (lambda text: text.replace("lambda", "lamda"), "did you mean 'lambda'"),
        (lambda text: text + '[[entry]]\ntrack = "quickstart"\nlambda = 0.2\n', "given twice"),
        (lambda text: text + "params = { epsilom = 1.0 }\n", "did you mean 'epsilon'"),
        (
            lambda text: text + 'architecture = "lenet_5"\n',
            "architecture 'lenet_5' is not in the track",
        ),
    ],
)
def test_entries_that_do_not_fit_are_refused(clone, tmp_path, change, expected):
    from benchmark.review.check import _entries

    registry = spoilt(clone, tmp_path, change, "entries.toml")
    with pytest.raises(InputError, match=re.escape(expected)):
        _entries(registry, "my_method")


def test_params_in_entries_are_part_of_the_entrys_id(clone, tmp_path):
    registry = spoilt(
        clone, tmp_path, lambda text: text + "params = { epsilon = 1e-9 }\n", "entries.toml"
    )
    ids = [entry.id for entry in registry.submitted_entries("my_method")["quickstart"]]
    assert ids[0] == "digits/lenet_300_100/my_method:epsilon=1e-09/0.05"


@needs_sandbox
def test_the_commands_that_check_run_in_the_sandbox(clone):
    result = clone.type("regbench check --all --json")
    reports = json.loads(result.stdout)
    assert [report["name"] for report in reports] == ["my_method"]
    assert all(report["ok"] for report in reports), [report["verdict"] for report in reports]


@pytest.mark.parametrize(
    ("command", "code", "expected"),
    [
        ("regbench check", 2, "give the paths of submissions, or --all"),
        ("regbench check submissions/nothing", 2, "is no folder; `regbench new NAME` makes one"),
        ("regbench new Capital", 2, "must be lower-case"),
        ("regbench new jacobian", 2, "is taken"),
        ("regbench verify registry/template", 2, "results.jsonl: is missing"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(clone, command, code, expected):
    result = clone.type(command)
    assert result.returncode == code
    assert expected in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_without_bubblewrap_submitted_code_is_refused(clone, monkeypatch):
    monkeypatch.setenv("PATH", "")
    result = clone.type("regbench check submissions/my_method")
    assert result.returncode == 2
    assert "bubblewrap is not installed" in result.stderr
    assert "--trust" in result.stderr


@pytest.mark.parametrize("name", sorted(Registry().regularizer_folders))
def test_no_registered_card_has_gaps(name):
    assert card_gaps(Registry().regularizer(name).card) == ""
