"""`regbench` in this process, in a home and with a folder of registered results that the test
chooses, or else those of its environment. Its workers are processes all the same; what is about the
command's own process, that it may be killed say, starts one.
"""

import io
import subprocess
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout

import pytest

from benchmark.commands.main import main


def regbench(*arguments, home=None, results=None):
    chosen = {"REGBENCH_HOME": home, "REGBENCH_RESULTS": results}
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("default")  # on stderr, as for its users
        for name, value in chosen.items():
            if value:
                patch.setenv(name, str(value))
        patch.setattr(sys, "argv", ["regbench", *arguments])
        out, errors = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(errors), pytest.raises(SystemExit) as ended:
            main()
    code = ended.value.code
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), errors.getvalue())
