"""`regbench` in a process of its own, in a home and with a folder of registered results that the
test chooses, or else those of its environment.
"""

import os
import subprocess
import sys


def regbench(*arguments, home=None, results=None):
    chosen = {"REGBENCH_HOME": home, "REGBENCH_RESULTS": results}
    environment = os.environ | {name: str(value) for name, value in chosen.items() if value}
    return subprocess.run(
        [sys.executable, "-m", "benchmark.commands", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
