"""Downloads of a pinned revision from the Hugging Face hub, by its own client from a server that
speaks its protocol.
"""

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

from benchmark.data.splits import load
from registry.spec import Dataset

from .image_files import ROOT, made, spec, write_parquet

pytestmark = pytest.mark.slow


class Hub(BaseHTTPRequestHandler):
    """The part of the hub's protocol that its client uses to download one revision of one dataset
    repository.
    """

    files: Path
    repository: str
    revision: str

    def reply(self, content: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        headers |= {"X-Repo-Commit": self.revision, "Content-Length": str(len(content))}
        for header, value in headers.items():
            self.send_header(header.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_GET(self) -> None:
        path = unquote(urlparse(self.path).path)
        api = f"/api/datasets/{self.repository}"
        tree, resolve = (
            f"{api}/tree/{self.revision}",
            f"/datasets/{self.repository}/resolve/{self.revision}/",
        )
        if path == f"{api}/revision/{self.revision}":
            self.reply(
                json.dumps({"id": self.repository, "sha": self.revision, "siblings": []}).encode()
            )
        elif path.startswith(tree) and (self.files / path[len(tree) :].strip("/")).is_dir():
            entries = [
                {
                    "type": "directory" if entry.is_dir() else "file",
                    "path": str(entry.relative_to(self.files)),
                    "oid": "0" * 40,
                    "size": 0 if entry.is_dir() else entry.stat().st_size,
                }
                for entry in (self.files / path[len(tree) :].strip("/")).iterdir()
            ]
            self.reply(json.dumps(entries).encode())
        elif path.startswith(resolve) and (self.files / path[len(resolve) :]).is_file():
            content = (self.files / path[len(resolve) :]).read_bytes()
            self.reply(content, ETag=f'"{hashlib.sha1(content).hexdigest()}"')
        else:
            known = path.startswith((tree, resolve))
            self.reply(
                b"not found", 404, X_Error_Code="EntryNotFound" if known else "RevisionNotFound"
            )

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the test's output quiet."""


LOAD = """
import sys, time
from pathlib import Path
from benchmark.data import load
from registry.spec import Dataset, InputError
for dataset in map(Dataset.model_validate_json, sys.argv[2:]):
    start = time.monotonic()
    try:
        print("loaded", load(dataset, Path(sys.argv[1])).sha256)
    except InputError as error:
        print("refused", error)
    print(time.monotonic() - start)
"""


def load_apart(home: Path, *datasets: Dataset, **environment: str) -> list[str]:
    """For each dataset what `load` answers and its seconds: in one other process, as the hub's
    client reads its settings at import."""
    environment = {
        key: value for key, value in os.environ.items() if key != "REGBENCH_DATA"
    } | environment
    command = [
        sys.executable,
        "-W",
        "error",
        "-c",
        LOAD,
        str(home),
        *(each.model_dump_json() for each in datasets),
    ]
    run = subprocess.run(
        command,
        cwd=ROOT,
        env=environment | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def test_a_hub_that_does_not_answer_is_given_up_quickly(tmp_path):
    nowhere = {
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_OFFLINE": "0",
    }
    answer, seconds = load_apart(tmp_path, spec("mnist"), **nowhere)
    assert answer.startswith(
        "refused dataset mnist: no source answers (REGBENCH_DATA is not set; no package brings it;"
        " hub ylecun/mnist@77f3279092a1c1579b2250db8eafed0ad422088c: "
    )
    assert "into a folder mnist/ and set REGBENCH_DATA" in answer
    assert float(seconds) < 10  # its client alone would retry for 23 seconds


def test_the_hub_gives_the_pinned_revision_and_nothing_else(tmp_path, monkeypatch):
    dataset, files = spec("mnist"), tmp_path / "repository"
    other = spec("mnist", revision="0" * 40)
    for split, n in (("train", 30), ("test", 10)):
        write_parquet(
            files / "mnist" / f"{split}-00000-of-00001.parquet", dataset, *made(dataset, n, n)
        )
    (files / "README.md").write_text(
        "---\nconfigs:\n- config_name: mnist\n  data_files:\n  - split: train\n"
        "    path: mnist/train-*\n  - split: test\n    path: mnist/test-*\n---\n"
    )
    monkeypatch.setenv("REGBENCH_DATA", str(files))
    local = load(dataset, tmp_path / "local").sha256

    handler = type(
        "OneDataset",
        (Hub,),
        {"files": files, "repository": dataset.hub, "revision": dataset.revision},
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        hub = {
            "HF_HOME": str(tmp_path / "hf"),
            "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        }
        first, _, second, _ = load_apart(tmp_path, dataset, other, HF_HUB_OFFLINE="0", **hub)
        server.shutdown()
    assert first == f"loaded {local}"
    assert second.startswith("refused") and f"hub ylecun/mnist@{'0' * 40}: " in second

    monkeypatch.delenv("REGBENCH_DATA")
    assert load(dataset, tmp_path).sha256 == local  # from our cache: nothing else could answer now
    first, _, second, _ = load_apart(tmp_path / "new", dataset, other, HF_HUB_OFFLINE="1", **hub)
    assert first == f"loaded {local}"  # from the client's cache
    assert second.startswith("refused") and "HF_HUB_OFFLINE is set: not in its cache" in second
