"""The commands of `regbench`. Nothing here loads torch before something trains."""

import typer

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="RegBench: rank regularizers against adversarial examples.\n\n"
    "Example: regbench run quickstart && regbench rank quickstart && regbench app",
)
