"""Clusters of two machines, both here: workers that die, files that are not there, resources."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import chores
import psutil
import pytest
from chores import Chore

import nmtool
from nmtool import executors
from nmtool.errors import SetupError, UsageError
from nmtool.executors.files import Facts, facts
from nmtool.verbs.sweep import sweep

pytestmark = pytest.mark.slow  # a cluster of Ray takes 15 s to start
TASKS = list(range(12))

# Another machine joins for each line of its input, with so many GPUs; the cluster ends with it.
_RAY = """
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


@dataclass(frozen=True)
class Cluster:
    """A cluster that is running.

    Attributes:
        name: of its executor.
        lost: what is said of a task that cost all its workers.
        kill_a_worker: kills a process that does tasks.
        join: adds a machine with so many GPUs.
    """

    name: str
    lost: str
    kill_a_worker: Callable[[], None]
    join: Callable[[int], None]


@contextmanager
def started(*command: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A process that finds the chores."""
    variables = {**os.environ, "PYTHONPATH": str(Path(chores.__file__).parent), **variables}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, *command], env=variables, **pipes) as process:
        yield process
        process.terminate()


@contextmanager
def ray_cluster(folder: Path) -> Iterator[Cluster]:
    ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'nmtool[ray]'")

    def kill_a_worker() -> None:
        processes = psutil.process_iter(["cmdline"])
        next(each for each in processes if "ray::_Worker" in " ".join(each.info["cmdline"] or [])).kill()

    with started("-c", _RAY, RAY_raylet_start_wait_time_s="120") as process:

        def join(gpus: int) -> None:
            print(gpus, file=process.stdin, flush=True)
            process.stdout.readline()

        ray.init(process.stdout.readline().strip(), log_to_driver=False)
        yield Cluster("ray://", "3 workers were lost at 5, the last one with ActorDiedError", kill_a_worker, join)
        ray.shutdown()
        process.stdin.close()
        process.wait()


@contextmanager
def dask_cluster(folder: Path) -> Iterator[Cluster]:
    distributed = pytest.importorskip("distributed", reason="dask is not installed: pip install 'nmtool[dask]'")
    at, scratch = ("--scheduler-file", str(folder / "scheduler.json")), ("--local-directory", str(folder))
    with ExitStack() as stack:
        stack.enter_context(started("-m", "dask", "scheduler", *at, "--host", "127.0.0.1", "--port", "0"))
        while not (folder / "scheduler.json").exists():
            time.sleep(0.1)
        client = stack.enter_context(distributed.Client(scheduler_file=at[1], set_as_default=False))

        def join(gpus: int) -> None:
            machine = ("--nthreads", "1", "--resources", f"GPU={gpus}")
            stack.enter_context(started("-m", "dask", "worker", *at, *machine, *scratch))
            client.wait_for_workers(len(client.nthreads()) + 1, timeout=60)

        def kill_a_worker() -> None:
            psutil.Process(next(iter(client.run(os.getpid).values()))).kill()

        join(0)
        join(0)
        address = client.scheduler.address.removeprefix("tcp://")
        yield Cluster(f"dask://{address}", "4 workers were lost at 5", kill_a_worker, join)


@pytest.fixture(scope="module", params=[ray_cluster, dask_cluster])
def cluster(request, tmp_path_factory):
    with request.param(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
def done(cluster):
    def run(chore):
        with executors.connect(cluster.name, jobs=2, threads=2) as executor:
            return sorted(executor.run(chore, TASKS))

    return run


def test_there_is_a_job_for_each_machine(cluster):
    with executors.connect(cluster.name, jobs=None, threads=None) as executor:
        assert (executor.jobs, executor.threads) == (2, 1)


def test_tasks_survive_their_workers(done, folder):
    assert done(Chore(folder, kills={2: 1, 7: 2})) == [(task, task**2 + 1000) for task in TASKS]
    opened = len(list(folder.glob("opened-*")))
    assert 4 <= opened <= 5  # three were lost; the last replacement may come too late to be needed


def test_a_task_that_loses_every_worker_ends_the_run(cluster, done, folder):
    with pytest.raises(SetupError, match=cluster.lost):
        done(Chore(folder, kills={5: 9}))


def test_a_task_that_cannot_be_done_says_why(done, folder):
    with pytest.raises(UsageError, match="not this one: 3") as caught:
        done(Chore(folder, refuses=3))
    assert caught.value.hint == "another"


class Elsewhere(Facts):
    """A file of another machine."""

    def pieces(self):
        yield b"50"
        yield b"00"


def test_files_that_a_machine_lacks_are_sent_to_it(done, folder, monkeypatch):
    elsewhere = [[Elsewhere(each.path, 4, 7) for each in group] for group in facts(Chore(folder).files)]
    for executor in ("ray", "dask"):
        monkeypatch.setattr(f"nmtool.executors.{executor}.facts", lambda files: elsewhere)
    assert done(Chore(folder)) == [(task, task**2 + 5000) for task in TASKS]


def test_a_sweep_that_loses_a_worker_loses_and_repeats_no_point(cluster, digits, tmp_path):
    killed = []

    def kill_a_worker(done, total):
        if done == 3:
            cluster.kill_a_worker()
            killed.append(done)

    arguments, results = (digits / "noisy.onnx", digits / "digits.npz"), tmp_path / "r.jsonl"
    options = {"etas": "0,0.1,0.2", "trials": 8, "metric": "mse"}
    there = sweep(*arguments, **options, results=results, executor=cluster.name, progress=kill_a_worker)
    here = sweep(*arguments, **options, threads=1)
    assert killed
    assert [(each.point, each.value) for each in there.points] == [(each.point, each.value) for each in here.points]
    points = [json.dumps(json.loads(line)["point"]) for line in results.read_text().splitlines()]
    assert len(points) == len(set(points)) == 17


def test_an_analysis_that_loses_a_worker_is_the_same(cluster, digits):
    killed = []

    def kill_a_worker(done, total, part):
        if part == "sensitivity" and done == 3:
            cluster.kill_a_worker()
            killed.append(done)

    arguments = (digits / "digits.onnx", digits / "digits.npz")
    options = {"eta": 0.1, "trials": 2, "metric": "mse", "gradient": 0, "parts": "snr,sensitivity"}
    there = nmtool.analyze(*arguments, **options, executor=cluster.name, progress=kill_a_worker)
    assert killed
    assert there.to_json() == nmtool.analyze(*arguments, **options, threads=1).to_json()


def test_gpus_are_asked_for(cluster):
    with (
        pytest.raises(SetupError, match=r"has no .*GPU"),
        executors.connect(cluster.name, jobs=None, threads=None, gpu=True),
    ):
        pass
    cluster.join(2)
    with executors.connect(cluster.name, jobs=None, threads=None, gpu=True) as executor:
        assert executor.gpus == 1
        assert executor.jobs in (1, 2)
