"""`python -m benchmark.commands`: the command line."""

from .main import main

main()
