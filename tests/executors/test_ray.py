"""A Ray cluster of two machines, both here: workers that die, files that are not there, resources."""

import json
import os
import subprocess
import sys
from pathlib import Path

import chores
import psutil
import pytest
from chores import Chore

from nmtool import executors
from nmtool.errors import SetupError, UsageError
from nmtool.executors.files import Facts, facts
from nmtool.verbs.sweep import sweep

pytestmark = pytest.mark.slow  # the cluster alone takes 15 s to start
ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'nmtool[ray]'")
TASKS = list(range(12))

# Another machine joins for each line of its input, with so many GPUs; the cluster ends with it.
_CLUSTER = """
import sys
from ray.cluster_utils import Cluster
machine = {"num_cpus": 1, "object_store_memory": 100 << 20}
cluster = Cluster(initialize_head=True, head_node_args={**machine, "include_dashboard": False})
cluster.add_node(**machine)
print(cluster.address, flush=True)
for line in sys.stdin:
    cluster.add_node(**machine, num_gpus=int(line))
    print(flush=True)
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def cluster():
    helpers = {"PYTHONPATH": str(Path(chores.__file__).parent), "RAY_raylet_start_wait_time_s": "120"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", _CLUSTER], env={**os.environ, **helpers}, **pipes) as process:
        ray.init(process.stdout.readline().strip(), log_to_driver=False)
        yield process
        ray.shutdown()
        process.stdin.close()


def done(chore, **options):
    with executors.connect("ray://", **{"jobs": None, "threads": None} | options) as executor:
        assert (executor.jobs, executor.threads) == (2, 1)
        return sorted(executor.run(chore, TASKS))


def test_tasks_survive_their_workers(cluster, folder):
    assert done(Chore(folder, kills={2: 1, 7: 2})) == [(task, task**2 + 1000) for task in TASKS]
    opened = len(list(folder.glob("opened-*")))
    assert 4 <= opened <= 5  # three were lost; the last replacement may come too late to be needed


def test_a_task_that_loses_every_worker_ends_the_run(cluster, folder):
    with pytest.raises(SetupError, match=r"3 workers were lost at 5, the last one with ActorDiedError: .* has died"):
        done(Chore(folder, kills={5: 9}))


def test_a_task_that_cannot_be_done_says_why(cluster, folder):
    with pytest.raises(UsageError, match="not this one: 3") as caught:
        done(Chore(folder, refuses=3))
    assert caught.value.hint == "another"


class Elsewhere(Facts):
    """A file of another machine."""

    def pieces(self):
        yield b"50"
        yield b"00"


def test_files_that_a_machine_lacks_are_sent_to_it(cluster, folder, monkeypatch):
    elsewhere = [[Elsewhere(each.path, 4, 7) for each in group] for group in facts(Chore(folder).files)]
    monkeypatch.setattr("nmtool.executors.ray.facts", lambda files: elsewhere)
    assert done(Chore(folder)) == [(task, task**2 + 5000) for task in TASKS]


def test_a_sweep_that_loses_a_worker_loses_and_repeats_no_point(cluster, digits, tmp_path):
    killed = []

    def kill_a_worker(done, total):
        if done == 3:
            processes = psutil.process_iter(["cmdline"])
            worker = next(each for each in processes if "ray::_Worker" in " ".join(each.info["cmdline"] or []))
            worker.kill()
            killed.append(worker.pid)

    options = {"etas": "0,0.1,0.2", "trials": 8, "metric": "mse", "results": tmp_path / "r.jsonl"}
    there = sweep(digits / "noisy.onnx", digits / "digits.npz", **options, executor="ray://", progress=kill_a_worker)
    here = sweep(digits / "noisy.onnx", digits / "digits.npz", **options | {"results": None}, threads=1)
    assert killed
    assert [(each.point, each.value) for each in there.points] == [(each.point, each.value) for each in here.points]
    points = [json.dumps(json.loads(line)["point"]) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert len(points) == len(set(points)) == 17


def test_gpus_are_asked_for(cluster, folder):
    with (
        pytest.raises(SetupError, match="has no GPU"),
        executors.connect("ray://", jobs=None, threads=None, gpu=True),
    ):
        pass
    print(2, file=cluster.stdin, flush=True)
    cluster.stdout.readline()
    with executors.connect("ray://", jobs=None, threads=None, gpu=True) as executor:
        assert (executor.jobs, executor.gpus) == (2, 1)
