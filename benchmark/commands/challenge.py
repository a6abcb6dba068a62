"""challenge check: adversarial images against a registered row."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from registry.read import shown

from . import app

challenge = typer.Typer(
    no_args_is_help=True,
    help="Adversarial images that break a registered row: submissions/challenges/<name>/.",
)
app.add_typer(challenge, name="challenge")


@challenge.callback()
def _challenge() -> None:
    pass  # with one command alone typer would leave its name out


@challenge.command(epilog="Example: regbench challenge check submissions/challenges/my_images")
def check(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The challenge's folder.")],
) -> None:
    """Verify that the images lie within the box and the ball that rank and that the registered
    weights misclassify them. Accepted, they count as broken in the row's worst case.
    """
    from ..records.challenges import ACCEPTED
    from ..review import challenge as checking

    said, found = checking.check(folder.absolute())
    print(
        f"{shown(folder.absolute())}: accepted: {len(found.images)} test images break "
        f"{said.entry} seed {said.seed} of {said.track}; {ACCEPTED} says so. Commit the folder and "
        f"open a pull request; `regbench rank {said.track}` counts it."
    )
