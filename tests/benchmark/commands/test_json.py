"""What `--json` prints is what the schemas in benchmark/commands/schemas say."""

import inspect
import json
import shutil

import jsonschema
import pytest

from benchmark.commands.main import app
from registry.places import HERE, TEMPLATE

from ..command import regbench

pytestmark = pytest.mark.slow

SCHEMAS = HERE.parent / "benchmark" / "commands" / "schemas"
CONTROL = "digits/lenet_300_100/none/0"  # an entry that trains in seconds


def validator(command):
    schema = json.loads((SCHEMAS / f"{command}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A home in which one entry ran and its rows were exported, and what the run printed."""
    folder = tmp_path_factory.mktemp("json")
    places = {"home": folder / "home", "results": folder / "results"}
    said = regbench("run", CONTROL, "--seeds", "1", "--json", **places)
    assert said.returncode == 0, said.stderr
    return places, said.stdout


def said(*arguments, home, results):
    """What a command printed, whether it found all well or not."""
    result = regbench(*arguments, "--json", home=home, results=results)
    assert result.returncode in (0, 1), result.stderr
    return json.loads(result.stdout)


def test_every_command_that_prints_json_has_a_schema():
    """But `show`, whose answer is the file of what is shown."""
    commands = {
        command.name or command.callback.__name__: command.callback
        for command in app.registered_commands
    }
    asked = {
        name for name, call in commands.items() if "as_json" in inspect.signature(call).parameters
    }
    assert asked - {"show"} == {path.stem for path in SCHEMAS.glob("*.json")}


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.json")), ids=lambda path: path.stem)
def test_a_field_that_no_schema_names_is_refused(path):
    """So that what is added to an answer must be added to its schema."""
    open_objects = [
        schema
        for schema in objects(json.loads(path.read_text()))
        if "additionalProperties" not in schema
        or set(schema["required"]) != set(schema["properties"])
    ]
    assert open_objects == []


def objects(schema):
    """Every schema of an object within a schema."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for part in schema.values():
            yield from objects(part)
    if isinstance(schema, list):
        for part in schema:
            yield from objects(part)


@pytest.mark.parametrize("kind", ["tracks", "entries", "regularizers", "architectures", "datasets"])
def test_list(kind, tmp_path):
    places = {"home": tmp_path / "home", "results": tmp_path / "results"}
    validator("list").validate(said("list", kind, **places))


def test_run_prints_an_event_a_line(ran):
    events = [json.loads(line) for line in ran[1].splitlines()]
    for event in events:
        validator("run").validate(event)
    kinds = [event["event"] for event in events]  # of the entry's trial and its reference
    assert kinds == ["plan", *2 * ["start", "outcome"], "end"]


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("plan", ("quickstart",)),
        ("certify", (CONTROL, "--workers", "1")),
        ("rank", ("quickstart", "guo-fashion-binary")),
        ("export", (CONTROL,)),
        ("rerun", (CONTROL, "--seeds", "1")),
        ("doctor", ()),
    ],
)
def test_after_a_run(ran, command, arguments):
    places, _ = ran
    found = said(command, *arguments, **places)
    validator(command).validate(found)
    assert found


@pytest.fixture(scope="module")
def registered(tmp_path_factory):
    """A home in which nothing ran, beside the registered rows."""
    return {"home": tmp_path_factory.mktemp("registered"), "results": HERE / "results"}


def test_rank_of_the_registered_rows(registered):
    rows = said("rank", "quickstart", "guo-fashion-binary", **registered)
    validator("rank").validate(rows)
    assert any(row["rank"] for row in rows)


def test_plan_names_the_methods_that_rank_marks_and_the_lambda_to_try(registered):
    rows = said("rank", "quickstart", **registered)
    marked = {(row["regularizer"], row["next_lambda"]) for row in rows if row["at_end"]}
    plan = said("plan", "quickstart", **registered)
    validator("plan").validate(plan)
    assert {(row["regularizer"], row["next_lambda"]) for row in plan["ends"]} == marked
    assert marked
    assert said("plan", CONTROL, **registered)["ends"] == []  # a λ is selected within a track


def test_check(tmp_path):
    """Of a submission that fails before its code runs: its findings have all fields."""
    method = tmp_path / "another_name"
    shutil.copytree(TEMPLATE, method)
    places = {"home": tmp_path / "home", "results": tmp_path / "results"}
    reports = said("check", str(method), "--trust", **places)
    validator("check").validate(reports)
    assert not reports[0]["ok"]
