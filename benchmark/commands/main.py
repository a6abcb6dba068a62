"""The entry point of `regbench`: how a command ends."""

from __future__ import annotations

import gc
import os
import sys
from typing import Any

import typer

from registry.spec import InputError, Unavailable

# Importing a module of commands registers them.
from . import (  # noqa: F401
    app,
    certify,
    challenge,
    rank,
    results,
    run,
    show,
    submit,
    transfer,
    weights,
)

# click's, which some releases of typer bring under a name of their own
USAGE_ERROR: Any = typer.BadParameter.__base__
INTERRUPTED = 130


def main() -> None:
    """Runs the command. Bad input: one line on stderr and exit code 2. A thing that failed: 1."""
    # A plan of 100,000 trials has no cycles to be looked for after every 700 objects.
    gc.set_threshold(200_000)
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False) or 0
        if code == INTERRUPTED:  # typer turns a KeyboardInterrupt into it
            raise KeyboardInterrupt
        sys.exit(code)
    except InputError as error:
        print(f"regbench: {error}", file=sys.stderr)
        sys.exit(1 if isinstance(error, Unavailable) else 2)
    except USAGE_ERROR as error:
        command = error.ctx.command_path if error.ctx else "regbench"
        print(f"regbench: {error.format_message()} (see `{command} --help`)", file=sys.stderr)
        sys.exit(2)
    except (typer.Abort, KeyboardInterrupt):
        print(
            "regbench: stopped; finished trials are kept, and the same command goes on from there",
            file=sys.stderr,
        )
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            raise
        print(f"regbench: {error.filename}: {error.strerror}", file=sys.stderr)
        sys.exit(1)
