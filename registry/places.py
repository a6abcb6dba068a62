"""Where the registry lies, and further ones beside it, and where submissions do: in a clone and in
an installed package.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from functools import cache
from pathlib import Path

from .spec import InputError

HERE = Path(__file__).resolve().parent
CHALLENGES = "challenges"  # the folder among those of submissions that holds no method
TEMPLATE = HERE / "template"  # the submission that `regbench new` copies
# What a folder may hold to be a registry; each is laid out as the one here.
PARTS = ("datasets", "architectures", "regularizers", "tracks", "results")


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


def submitted(folder: Path, name: str = "[a-z]*") -> list[Path]:
    """The submissions in a folder of such, or the one of this name: each has a card."""
    cards = sorted(folder.glob(f"{name}/card.toml"))
    return [card.parent for card in cards if card.parent.name != CHALLENGES]


def further() -> tuple[Path, ...]:
    """Registries beside the one here: the folders of $REGBENCH_REGISTRY, one after another as in
    $PATH, then the packages that entry points of the group `regbench.registry` name.

    Raises InputError where one is no folder, or holds nothing of a registry.
    """
    given = filter(None, os.environ.get("REGBENCH_REGISTRY", "").split(os.pathsep))
    found = {Path(folder).expanduser().resolve(): "REGBENCH_REGISTRY" for folder in given}
    for folder in dict.fromkeys((*found, *_installed())):
        source = found.get(folder, "entry point of regbench.registry")
        if not folder.is_dir():
            raise InputError(f"{source}: {folder} is no folder; name one laid out as registry/")
        if not any((folder / part).is_dir() for part in PARTS):
            raise InputError(
                f"{source}: {folder} is no registry; it needs a folder {' or '.join(PARTS)}"
            )
    return tuple(dict.fromkeys((*found, *_installed())))


@cache
def _installed() -> tuple[Path, ...]:
    """The folders of packages that bring a registry. Raises InputError where one is not there."""
    found = []
    for point in importlib.metadata.entry_points(group="regbench.registry"):
        try:
            spec = importlib.util.find_spec(point.module)
        except ModuleNotFoundError:
            spec = None
        places = list(spec.submodule_search_locations or ()) if spec is not None else []
        if not places:
            raise InputError(
                f"entry point {point.name!r} of regbench.registry: {point.module} is no package; "
                "name one whose folder is laid out as registry/"
            )
        found.append(Path(places[0]).resolve())
    return tuple(found)
