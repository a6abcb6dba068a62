"""`regbench` in a process of its own, in a home and with a folder of registered results that the
test chooses.
"""

import os
import subprocess
import sys


def regbench(*arguments, home, results):
    environment = os.environ | {"REGBENCH_HOME": str(home), "REGBENCH_RESULTS": str(results)}
    return subprocess.run(
        [sys.executable, "-m", "benchmark.commands", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
