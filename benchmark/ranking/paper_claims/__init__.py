"""What the registered rows say about the papers' claims: a file a paper, and the page of verdicts.

`python -m benchmark.ranking.paper_claims` writes registry/results/README.md.
"""
