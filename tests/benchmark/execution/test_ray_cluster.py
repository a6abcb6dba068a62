"""A Ray cluster of several nodes gives the rows that this machine gives alone, also where a node is
lost.
"""

import json
import os
import shutil
import subprocess
import sys
import warnings

import pytest

from benchmark.execution import ray_cluster
from benchmark.records.home import DATABASE
from benchmark.records.store import Store
from registry.load import Registry
from registry.places import further

from ...files import write

pytestmark = pytest.mark.slow

SELECTION = ["small"]
SMALL = """
name = "small"
title = "Little to evaluate"
dataset = "digits"
architectures = ["lenet_300_100"]
seeds = 2
threats = [{ attack = "fgsm" }]
headline = "fgsm-inf-0.1"
clean_floor = 0.5
test_examples = 100
measure_examples = 100

[recipe]
batch_size = 64
learning_rate = 0.05
reference_epochs = 10
fine_tune_epochs = 10

[[entry]]
regularizer = "jacobian"
lambda = [0.1]
"""


@pytest.fixture
def cluster(monkeypatch):
    """Two nodes of one core each beside a head without any."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.cluster_utils import Cluster

        cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
        )
        nodes = [cluster.add_node(num_cpus=1, wait=True) for _ in range(2)]
        yield cluster, nodes
        cluster.shutdown()


@pytest.fixture
def own(tmp_path):
    """A registry of one's own, of one small track."""
    write(tmp_path, "own/tracks/small.toml", SMALL)
    return tmp_path / "own"


def environment(home, own):
    return os.environ | {
        "REGBENCH_HOME": str(home),
        "REGBENCH_REGISTRY": str(own),
        "PYTHONWARNINGS": "ignore",
    }


def rows(home):
    table = Store(home / DATABASE).query("SELECT * FROM score")
    return sorted(map(str, table.astype(dict.fromkeys(table.columns, str)).to_dict("records")))


def test_a_cluster_that_loses_a_node_gives_the_rows_of_a_local_run(cluster, own, tmp_path):
    cluster, nodes = cluster
    here, there = tmp_path / "here", tmp_path / "there"
    command = [sys.executable, "-m", "benchmark.commands", "run", *SELECTION]
    subprocess.run(command, env=environment(here, own), check=True, capture_output=True)
    process = subprocess.Popen(
        [*command, "--executor", "ray", "--address", cluster.address, "--json"],
        env=environment(there, own),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    outcomes, lost = [], False
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "outcome":
            outcomes.append(event)
            if not lost:  # the other node is at work
                cluster.remove_node(nodes[0], allow_graceful=False)
                lost = True
    errors = process.stderr.read()
    assert process.wait() == 0, errors
    process.stdout.close()
    process.stderr.close()
    assert len({event["key"] for event in outcomes}) == len(outcomes) == 4
    assert {event["status"] for event in outcomes} == {"finished"}
    assert rows(there) == rows(here)
    provenance = Store(there / DATABASE).query(
        "SELECT provenance->>'executor' AS executor FROM trial"
    )
    assert set(provenance["executor"]) == {"ray"}
    for folder in here.glob("*/weights.safetensors"):
        assert (there / folder.parent.name / folder.name).read_bytes() == folder.read_bytes()


def test_an_address_where_no_cluster_is_is_one_line(own, tmp_path):
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmark.commands",
            "run",
            *SELECTION,
            "--executor",
            "ray",
            "--address",
            "127.0.0.1:1",
        ],
        env=environment(tmp_path, own),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith(
        "regbench: --address: no Ray cluster answers at '127.0.0.1:1'"
    )


NETWORK = """
from torch import nn
from registry.architectures.layers import register_from_scratch

@register_from_scratch
def travelling_net(num_classes=10, in_chans=1, img_size=(8, 8), **kwargs):
    pixels = in_chans * img_size[0] * img_size[1]
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, 8), nn.ReLU(), nn.Linear(8, num_classes))
"""
DESCRIBED = """
[[architecture]]
name = "narrow"
title = "Narrow"
timm = "travelling_net"
module = "narrow.py"
"""
TRACK = """
name = "narrow"
title = "A network of one's own"
dataset = "digits"
architectures = ["narrow"]
seeds = 1
threats = [{ attack = "fgsm" }]
headline = "fgsm-inf-0.1"
clean_floor = 0.5
test_examples = 20
measure_examples = 20
entry = [{ regularizer = "none" }]

[recipe]
batch_size = 64
learning_rate = 0.05
reference_epochs = 1
"""


def test_a_network_of_one_s_own_travels_to_nodes_that_have_no_such_registry(
    tmp_path, monkeypatch, home
):
    mine = tmp_path / "mine"
    write(mine, "architectures/narrow.py", NETWORK)
    write(mine, "architectures/narrow.toml", DESCRIBED)
    write(mine, "tracks/narrow.toml", TRACK)
    monkeypatch.setenv("REGBENCH_REGISTRY", str(mine))
    ((_, trial),) = Registry().select(["narrow"])
    files = ray_cluster._files_for([trial], home)
    shutil.rmtree(mine)
    for _ in range(2):  # a process of the node runs one task after another
        ((outcome, left),) = ray_cluster._run([trial], files, "cpu")
        assert (outcome.status, outcome.error) == ("finished", None)
        assert outcome.key == trial.key
        assert f"{trial.key}/weights.safetensors" in left
    (registry,) = further()  # what the sandbox shows to a submission's child
    assert (registry / "architectures" / "narrow.py").read_text() == NETWORK
