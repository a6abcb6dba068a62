"""What `regbench check` says of a submission that means harm."""

from benchmark.review.check import LIMITS, examine


def verdict_of(folder, limits=LIMITS):
    """The one line, which is none of praise."""
    report = examine(folder, limits=limits)
    assert not report.ok
    assert len(report.verdict.splitlines()) == 1
    return report.verdict
