"""Processes that torchrun started: one is killed, others go on with fewer; none hangs at its end."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import onnx
import psutil
import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.slow  # every start of torchrun takes several seconds

ALONE = [sys.executable]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@pytest.fixture
def options(workspace):
    with np.load("digits.npz") as data:
        np.savez("train.npz", image=data["image"][:160], label=data["label"][:160])
    settings = "--eta 0.08 --batch-size 8 --epochs 4 --threads 1 --checkpoint-every 5 --recipe robust"
    return f"digits-bn.onnx --data train.npz {settings}".split()


def start(launcher, options, output, *more):
    command = [*launcher, "-m", "nmtool", "distill", *options, "-o", output, *more]
    environment = {**os.environ, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}  # else restarts find old addresses
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def finish(process, code=0, timeout=300):
    _, message = process.communicate(timeout=timeout)
    assert process.returncode == code, message


def wait_for_steps(folder, count, process):
    deadline = time.monotonic() + 300
    log = folder / "log.csv"
    while not log.exists() or log.read_text().count("\n") < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def values(path):
    return {each.name: onnx.numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer}


def test_a_process_that_is_killed_is_restarted_and_the_result_is_the_same(options, workspace):
    finish(start(TORCHRUN, options, "whole.onnx"))
    process = start([*TORCHRUN, "--max-restarts", "1"], options, "killed.onnx", "--resume")
    wait_for_steps(workspace / "killed.run", 12, process)
    psutil.Process(process.pid).children()[1].kill()
    finish(process)
    whole, killed = values("whole.onnx"), values("killed.onnx")
    for name in whole:
        np.testing.assert_array_equal(killed[name], whole[name], err_msg=name)


def test_fewer_processes_go_on_with_steps_of_the_same_size(options, workspace):
    options = [*options, "--batchnorm", "frozen"]  # else statistics are those of the first process's batches
    finish(start(TORCHRUN, options, "two.onnx"))
    process = start(TORCHRUN, options, "fewer.onnx")
    wait_for_steps(workspace / "fewer.run", 12, process)
    for each in psutil.Process(process.pid).children():
        each.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    finish(start(ALONE, options, "fewer.onnx", "--resume"))
    two, fewer = values("two.onnx"), values("fewer.onnx")
    for name in two:
        np.testing.assert_allclose(fewer[name], two[name], rtol=1e-3, atol=1e-4, err_msg=name)
    steps = (workspace / "fewer.run" / "log.csv").read_text().count("\n")
    assert steps == (workspace / "two.run" / "log.csv").read_text().count("\n")


def test_processes_that_cannot_share_a_step_are_refused(options, workspace):
    finish(start(ALONE, options, "one.onnx"))
    process = start(TORCHRUN, options, "one.onnx", "--resume", "--force")
    _, message = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "a step of this training has 1 batches, which 2 processes cannot share" in message


def test_no_process_hangs_at_its_end(options):
    """Ten trainings of a network with BatchNormalization, whose buffers the processes exchange."""
    for number in range(10):
        finish(start(TORCHRUN, [*options, "--epochs", "1"], f"{number}.onnx"), timeout=100)
