"""What `regbench check` does inside the sandbox.

Nothing but torch and the plugin protocol may be imported before the submission is: what it imports
or replaces would not show otherwise. So the rest is imported where it is used.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from registry.spec import InputError

from ..regularizer import load_regularizer
from ..sandbox.child import Begin, Say
from . import tampering

IMPORTED = "regularizer.py can be imported, and replaces nothing"


def check(task: dict[str, Any], folder: Path, say: Say, begin: Begin) -> bytes:
    """Says what it is doing and what it found, check for check; where all is well it also trains. A
    sandbox's job.
    """
    before = tampering.functions()
    begin()
    say(doing=IMPORTED)
    ok, detail = _imported(Path(task["submission"]), before)
    say(finding={"check": IMPORTED, "ok": ok, "detail": detail})
    if not ok:
        return b""
    from dataclasses import asdict

    from registry.spec import Card

    from ..sandbox.training import trained
    from .examination import examine

    card, well = Card.model_validate_json(json.dumps(task["card"])), True
    for finding in examine(card, Path(task["submission"]), lambda check: say(doing=check)):
        say(finding=asdict(finding))
        well &= finding.ok
    say(doing="a short training")
    return trained(task, folder, say, lambda: None) if well else b""


def _imported(submission: Path, before: tampering.Functions) -> tuple[bool, str]:
    loaded = tampering.loaded()
    try:
        name = type(load_regularizer(submission, {})).__name__
    except InputError as error:
        return False, str(error)
    replaced = tampering.replaced(before)
    if replaced:
        return False, f"it replaces {', '.join(replaced[:3])}"
    needless = sorted(tampering.loaded() - loaded)
    if needless:
        return False, (
            f"it imports {needless[0]}: a method may use benchmark.regularizer, "
            "benchmark.attacks and benchmark.projection"
        )
    return True, name
