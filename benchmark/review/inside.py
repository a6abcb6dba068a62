"""What `regbench check` does inside the sandbox.

Nothing but torch and the plugin protocol may be imported before the submission is: what it imports
or replaces would not show otherwise. So the rest is imported where it is used.
"""

from __future__ import annotations

import json
from pathlib import Path

from registry.read import source
from registry.spec import InputError

from ..regularizer import load_regularizer
from ..sandbox.child import Channel
from . import tampering

IMPORTED = "regularizer.py can be imported, and replaces nothing"


def check(channel: Channel) -> None:
    """Says what it is doing and what it found, check for check; where all is well it then answers
    for a short training. A sandbox's job.
    """
    task, before = channel.task, tampering.functions()
    folder = Path(task["submission"])
    channel.begin()
    channel.say(doing=IMPORTED)
    ok, detail = _imported(folder, before)
    channel.say(finding={"check": IMPORTED, "ok": ok, "detail": detail})
    if not ok:
        channel.say(findings="done")
        return
    from dataclasses import asdict

    from registry.spec import Card

    from ..sandbox.answering import answer, prepared
    from .examination import findings

    card = Card.model_validate_json(json.dumps(task["card"]))
    for finding in findings(card, folder, lambda check: channel.say(doing=check)):
        channel.say(finding=asdict(finding))
        ok &= finding.ok
    channel.say(findings="done")
    if ok:
        channel.say(doing="a short training")
        answer(channel, *prepared(task))


def _imported(submission: Path, before: tampering.Functions) -> tuple[bool, str]:
    loaded = tampering.loaded()
    try:
        forbidden = tampering.forbidden_imports(source(submission))  # before any of it runs
        name = type(load_regularizer(submission, {})).__name__
    except InputError as error:
        return False, str(error)
    except SyntaxError as error:
        return False, f"regularizer.py: line {error.lineno}: {error.msg}"
    replaced = tampering.replaced(before)
    if replaced:
        return False, f"it replaces {', '.join(replaced[:3])}"
    forbidden += sorted(tampering.loaded() - loaded)  # those that it loads by other ways
    if forbidden:
        *others, last = tampering.ALLOWED
        return False, (
            f"it imports {forbidden[0]}: a method may use {', '.join(others)} and {last}"
        )
    return True, name
