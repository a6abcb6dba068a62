"""The command line: help with an example, one-line errors that say what to do, exit codes, JSON for
programs.
"""

import json
import resource
import subprocess
import sys

import pytest

from ..command import regbench

COMMANDS = (
    "list",
    "show",
    "plan",
    "run",
    "certify",
    "transfer",
    "rank",
    "collect",
    "export",
    "rerun",
    "app",
    "doctor",
    "new",
    "check",
    "submit",
    "verify",
    "challenge check",
    "weights push",
    "weights pull",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command):
    result = regbench(*command.split(), "--help")
    assert result.returncode == 0
    assert "Example: regbench" in result.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["list", "entries", "--json"]])
def test_help_and_lists_load_no_torch(arguments):
    code = (
        "import sys; sys.argv = ['regbench', *sys.argv[1:]]\n"
        "from benchmark.commands.main import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code, end.code\n"
        "assert not {'torch', 'timm', 'streamlit'} & set(sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_help_answers_at_once():
    """By processor time: other processes may be using the machine."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    assert regbench("--help").returncode == 0
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run"], "Missing argument"),
        (["run", "quikstart"], "did you mean 'quickstart'?"),
        (["plan", "digits/*/jacobain/*"], "the nearest is 'digits/"),
        (["run", "quickstart", "--workers", "0"], "--workers"),
        (["run", "quickstart", "--seeds", "none"], "--seeds"),
        (["list", "trakcs"], "did you mean 'tracks'?"),
        (["show", "jacobain"], "did you mean 'jacobian'?"),
        (["show", "jacobian:projections=0"], "projections must"),
        (["rank", "quickstar"], "did you mean 'quickstart'?"),
        (["frobnicate"], "No such command 'frobnicate'"),
    ],
)
def test_bad_usage_is_one_line_on_stderr_and_exit_code_2(arguments, expected, home):
    result = regbench(*arguments)
    assert result.returncode == 2
    assert expected in result.stderr
    assert result.stderr.startswith("regbench: ")
    assert len(result.stderr.splitlines()) == 1
    assert not result.stdout


@pytest.mark.parametrize("kind", ["tracks", "entries", "regularizers", "architectures", "datasets"])
def test_lists_are_json_objects_with_a_name(kind):
    rows = json.loads(regbench("list", kind, "--json").stdout)
    assert rows
    assert all(row["name"] for row in rows)


@pytest.mark.parametrize(
    "name",
    [
        "quickstart",
        "jacobian",
        "lenet_5:activation=swish",
        "mnist:1,7",
        "digits/lenet_300_100/jacobian/0.1",
        "fashion_mnist:5,9/lenet_5/jacobian/0.1",
        "guo-fashion-binary/lenet_5/jacobian/0.1",
    ],
)
def test_show_prints_json_of_every_kind_of_thing(name, home):
    assert json.loads(regbench("show", name, "--json").stdout)


def test_rank_without_results_lists_every_method_unranked(home):
    rows = json.loads(regbench("rank", "quickstart", "--json").stdout)
    assert len(rows) == 6
    assert all(row["rank"] is None for row in rows)
    assert "regbench run quickstart" in regbench("rank", "quickstart").stdout


def test_doctor_finds_this_machine_ready(home):
    findings = json.loads(regbench("doctor", "--json").stdout)
    assert {finding["name"] for finding in findings} >= {
        "python",
        "torch",
        "device",
        "home",
        "database",
        "tracks",
    }
    assert all(finding["ok"] for finding in findings)


def test_a_home_that_cannot_be_is_one_line_and_a_condition_that_is_missing(tmp_path):
    file = tmp_path / "home"
    file.write_text("")
    place = file / "below"
    said = regbench("run", "quickstart", "--seeds", "1", home=place)
    assert said.returncode == 1
    assert said.stderr == f"regbench: {place}: Not a directory\n"
    (missing,) = [
        found
        for found in json.loads(regbench("doctor", "--json", home=place).stdout)
        if found["name"] == "home"
    ]
    assert not missing["ok"]
    assert "Not a directory; set REGBENCH_HOME to another folder" in missing["detail"]


@pytest.mark.parametrize("epsilon", ["0", "inf"])
def test_a_radius_that_is_none_is_bad_input(epsilon, home, monkeypatch):
    from benchmark.records import TrialFolder

    monkeypatch.setattr(TrialFolder, "is_trained", True)
    said = regbench("certify", "digits/lenet_300_100/none/0", "--seeds", "1", "--eps", epsilon)
    assert (said.returncode, said.stderr) == (2, "regbench: --eps: must be above 0 and finite\n")


def test_no_submission_is_named_as_the_folder_of_challenges(home):
    said = regbench("new", "challenges")
    assert (said.returncode, said.stderr) == (
        2,
        "regbench: new: 'challenges' is taken; choose another name\n",
    )
