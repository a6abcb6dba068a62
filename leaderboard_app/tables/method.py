"""Every trial of a method, and the command that repeats it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from registry.spec import Method, Trial


def facts(method: Method) -> pd.DataFrame:
    """What the card says: columns Fact and Value."""
    card = method.card
    found = {
        "λ is": card.lambda_means,
        "Paper": card.paper,
        "Authors": card.authors,
        "Year": str(card.year),
        "Licence": card.licence,
        "Batch norm": card.batch_norm,
        "Extra forward passes": card.extra_forwards,
        "Extra backward passes": card.extra_backwards,
        "Smooth activation": "needed" if card.smooth_activation else "not needed",
        "Source": "submitted" if method.submitted else "registered",
        "SHA-256 of the code": method.sha256,
    }
    found |= {f"Option {param}": spec.doc for param, spec in card.params.items()}
    return pd.DataFrame({"Fact": list(found), "Value": list(found.values())})


def command(trial: Trial, source: str) -> str:
    """What repeats a trial. One that was brought and not run here is repeated by `rerun`: to `run`
    it is done.
    """
    verb = "run" if source == "here" else "rerun"
    return f"regbench {verb} '{trial.entry.id}' --seeds {trial.seed + 1}"


def trials(
    asked: Mapping[str, Trial],
    known: Sequence[Mapping[Any, Any]],
    sources: Mapping[str, str],
    files: Mapping[str, str],
) -> pd.DataFrame:
    """One row a trial: its strength, seed and status, where it ran and lies, and how to repeat it.

    Args:
        asked: key → trial.
        known: rows of the store's trials.
        sources: as `Store.sources` gives it.
        files: key → where the row lies.
    """
    rows = {row["key"]: row for row in known}
    found = []
    for key, trial in asked.items():
        row = _row(trial, rows.get(key, {}), sources.get(key, ""), files.get(key, ""))
        found.append(row)
    return pd.DataFrame(found)


def _row(trial: Trial, row: Mapping[Any, Any], source: str, file: str) -> dict[str, Any]:
    provenance = json.loads(row.get("provenance") or "{}")
    return {
        "Key": trial.key,
        "Method": trial.entry.regularizer,
        "λ": trial.entry.strength,
        "Seed": trial.seed,
        "Status": row.get("status", "not run"),
        "Source": source,
        "Files": file,
        "Command": command(trial, source or "here"),
        "Training (s)": row.get("train_seconds"),
        "Iterations": row.get("iterations"),
        "Trained on": provenance.get("trained_on", provenance.get("device_name")),
        "Engine": provenance.get("engine"),
        "torch": provenance.get("torch"),
        "Python": provenance.get("python"),
        "Commit": provenance.get("commit"),
    }
