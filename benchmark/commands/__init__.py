"""The commands of `regbench`: what each takes and prints. Nothing loads torch before it trains."""

from typing import Annotated

import typer

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="RegBench: rank regularizers against adversarial examples.\n\n"
    "Example: regbench run quickstart && regbench rank quickstart && regbench app",
)


def _tell_version(asked: bool) -> None:
    if asked:
        import benchmark

        print(f"regbench {benchmark.__version__}")
        raise typer.Exit


@app.callback()
def _regbench(
    version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", callback=_tell_version)
    ] = False,
) -> None:
    pass
