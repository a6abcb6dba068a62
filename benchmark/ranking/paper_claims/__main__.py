"""`python -m benchmark.ranking.paper_claims`: writes the page of findings."""

from .page import main

main()
