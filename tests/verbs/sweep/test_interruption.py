"""A sweep that is killed loses nothing and repeats nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nmtool.verbs.sweep import sweep

ETAS, TRIALS = "0:1:0.1", 4

_METRIC = """
import time
def slow(outputs, labels, clean):
    time.sleep(0.02)
    return float((outputs.argmax(axis=1) == labels).mean())
"""
_SCRIPT = """
import sys
from nmtool.verbs.sweep import sweep
if __name__ == "__main__":
    sweep("noisy.onnx", "data.npz", etas=sys.argv[1], trials=int(sys.argv[2]), metric="slowly:slow",
          results="r.jsonl", jobs=int(sys.argv[3]))
"""


@pytest.fixture
def folder(tmp_path: Path, model_file: Path, data_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "slowly.py").write_text(_METRIC)
    (tmp_path / "script.py").write_text(_SCRIPT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def start(jobs: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "script.py", ETAS, str(TRIALS), str(jobs)]
    return subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE)


def wait_for_lines(path: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.parametrize("jobs", [1, 2])
def test_kill_and_resume_give_exactly_the_uninterrupted_result(folder, jobs):
    options = {"etas": ETAS, "trials": TRIALS, "metric": "slowly:slow"}
    uninterrupted = sweep("noisy.onnx", "data.npz", **options)
    results = folder / "r.jsonl"
    for lines in (3, 12):
        process = start(jobs)
        wait_for_lines(results, lines, process)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    before = results.read_bytes()
    done = before[: before.rindex(b"\n") + 1]
    resumed = sweep("noisy.onnx", "data.npz", **options, results=results)
    assert [(r.point, r.value) for r in resumed.points] == [(r.point, r.value) for r in uninterrupted.points]
    after = results.read_bytes()
    assert after.startswith(done)
    points = [json.dumps(json.loads(line)["point"]) for line in after.splitlines()]
    assert len(points) == len(set(points)) == len(uninterrupted.points)


def test_workers_end_when_their_parent_is_killed(folder):
    process = start(2)
    wait_for_lines(folder / "r.jsonl", 3, process)
    group = os.getpgid(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("workers are still running")


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interruption_from_the_keyboard_leaves_a_usable_file(folder, jobs):
    process = start(jobs)
    wait_for_lines(folder / "r.jsonl", 3, process)
    os.killpg(os.getpgid(process.pid), signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert b"KeyboardInterrupt" in stderr
    lines = (folder / "r.jsonl").read_bytes().splitlines()
    assert all(json.loads(line)["schema"] for line in lines)
