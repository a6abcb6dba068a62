"""Code that reaches for what is not its own finds nothing there."""

import re
import socket
from pathlib import Path

import pytest

from registry.places import HERE, submissions

from .verdict import verdict_of

pytestmark = pytest.mark.slow

CASES = {
    "reads /etc/passwd": ("open('/etc/passwd').read()", "FileNotFoundError.*/etc/passwd"),
    "fills the scratch folder": (
        "open('/scratch/x', 'wb').write(bytes(2**27))",
        "OSError.*(too large|No space)",
    ),
    "writes into its own code": ("open(__file__, 'a').write('x')", "OSError.*Read-only"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_submission_that_reaches_outside_ends_in_a_verdict(submission, case):
    code, expected = CASES[case]
    folder = submission(code)
    before = (folder / "regularizer.py").read_bytes()
    assert re.search(expected, verdict_of(folder))
    assert (folder / "regularizer.py").read_bytes() == before


def test_a_submission_reaches_no_socket_of_this_machine(submission):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        port = server.getsockname()[1]
        assert re.search(
            "not permitted",
            verdict_of(
                submission(f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 2)")
            ),
        )
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_submission_finds_no_home_no_database_no_other_submission_no_labels_and_no_environment(
    submission, tmp_path, monkeypatch
):
    secret = tmp_path / "secret"
    secret.write_text("x")
    monkeypatch.setenv("SECRET", "x")
    folder = submission(f"""
import os
found = [name for name in ("SECRET", "REGBENCH_HOME") if name in os.environ]
for path in ({str(secret)!r}, {str(tmp_path / "home")!r}, {str(submissions())!r},
             {str(HERE.parent / ".git")!r}, "/usr/share/dataset-fashion-mnist", "/etc/shadow"):
    if os.path.exists(path):
        found.append(path)
import sys
installed = (sys.prefix, sys.base_prefix, {str(HERE)!r}, {str(HERE.parent / "benchmark")!r})
for folder, _, files in os.walk({str(Path.home())!r}):
    if files and not folder.startswith(installed):
        found.append(folder)
try:
    import sklearn.datasets
    found.append("digits")
except ImportError:
    pass
for path in ("/", "/usr", "/task", "/dev", "/tmp", "/dev/shm", {str(HERE)!r}):
    try:
        open(path + "/x", "w")
        found.append("wrote to " + path)
    except OSError:
        pass
if [pid for pid in os.listdir("/proc") if pid.isdigit()] != [str(os.getpid())]:
    found.append("other processes")
raise RuntimeError("found " + repr(found))
""")
    assert "RuntimeError: found []" in verdict_of(folder)
