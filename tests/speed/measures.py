"""Times the per-example measures of 2,000 images on one CPU thread. Run: python
tests/speed/measures.py

Goal: at least 1,000 images a second for LeNet-5 with ten classes. Exits with 1 below it.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from nets import lenet_5, lenet_300_100

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmark.evaluation.examples import example_measures
from benchmark.measures.jacobian import jacobian

GOAL = 1000  # images a second


def seconds(run: Callable[[], object], repeats: int = 3) -> float:
    """CPU time, which other processes disturb least: the least of several runs, after one that
    warms up.
    """
    run()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def main() -> int:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x, y = torch.rand(2000, 1, 28, 28), torch.randint(10, (2000,))
    rate = 0.0
    for net in (lenet_300_100, lenet_5):
        model = net()
        derivatives = len(x) / seconds(
            lambda model=model: [jacobian(model, part) for part in x.split(128)]
        )
        rate = len(x) / seconds(lambda model=model: example_measures(model, x, y))
        print(
            f"{net.__name__:14} Jacobian {derivatives:7,.0f} images/s   "
            f"all measures {rate:7,.0f} images/s"
        )
    print(f"goal for lenet_5: {GOAL:,} images/s: {'met' if rate >= GOAL else 'MISSED'}")
    return 0 if rate >= GOAL else 1


if __name__ == "__main__":
    raise SystemExit(main())
