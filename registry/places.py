"""Where the registry lies, and where submissions do: in a clone and in an installed package."""

from __future__ import annotations

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent
TEMPLATE = HERE / "template"  # the submission that `regbench new` copies


def clone() -> Path | None:
    """The clone of the repository that this is read from; None where the package is installed."""
    root = HERE.parent
    return root if (root / "pyproject.toml").exists() else None


def submissions() -> Path:
    """The folder of submissions: $REGBENCH_SUBMISSIONS, or submissions/ in the clone, or where the
    package is installed in the working folder.
    """
    given = os.environ.get("REGBENCH_SUBMISSIONS")
    if given:
        return Path(given).expanduser().resolve()
    return (clone() or Path.cwd()) / "submissions"
