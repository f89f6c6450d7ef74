"""Engines in processes of their own: whatever these do, nmtool gets an answer or an error."""

import gc
import os
import signal
import sys
import textwrap
import time

import numpy as np
import pytest

from nmtool.backends.worker import Worker, WorkerError

PRELUDE = """
import json, os, struct, sys, time
def send(header, data=b""):
    text = json.dumps(header).encode()
    sys.stdout.buffer.write(struct.pack("<I", len(text)) + text + data)
    sys.stdout.buffer.flush()
def receive():
    header = json.loads(sys.stdin.buffer.read(struct.unpack("<I", sys.stdin.buffer.read(4))[0]))
    sizes = [int(__import__("numpy").prod(each["shape"])) * 4 for each in header["arrays"]]
    return header, b"".join(sys.stdin.buffer.read(size) for size in sizes)
send({"pid": os.getpid()})
"""
ECHO = "while True: send(*receive())"
LARGE = np.arange(2**20, dtype=np.float32).reshape(4, -1)  # more than a pipe holds


@pytest.fixture
def start():
    workers = []

    def start(program: str, timeout: float = 20) -> Worker:
        workers.append(Worker([sys.executable, "-c", PRELUDE + textwrap.dedent(program)], timeout))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()


def test_arrays_there_and_back(start):
    worker = start(ECHO)
    for array in (LARGE, LARGE.T, np.float32(3), np.zeros((0, 3), np.int32)):
        (result,) = worker.call({}, {"x": array}).values()
        assert result.dtype == array.dtype
        np.testing.assert_array_equal(result, array)
    assert worker.call({}) == {}


def test_an_error_of_the_engine_is_one_and_the_process_lives_on(start):
    worker = start("receive(); send({'error': 'no such operator'}); " + ECHO.replace("while True: ", ""))
    with pytest.raises(WorkerError, match=r"^no such operator$"):
        worker.call({})
    assert worker.call({}) == {}


def test_a_process_that_dies_says_its_last_words(start):
    worker = start("receive(); print('out of luck', file=sys.stderr); os.abort()")
    with pytest.raises(WorkerError, match="its process ended with code -6: out of luck"):
        worker.call({}, {"x": LARGE})
    with pytest.raises(WorkerError, match="has ended"):
        worker.call({})


def test_a_process_that_is_killed_between_two_runs(start):
    worker = start(ECHO)
    os.kill(worker.hello["pid"], signal.SIGKILL)
    with pytest.raises(WorkerError, match="ended with code -9"):
        worker.call({}, {"x": LARGE})


def test_a_process_that_hangs_is_ended(start):
    worker = start("receive(); time.sleep(60)", timeout=0.5)
    with pytest.raises(WorkerError, match=r"no answer within 0\.5 s"):
        worker.call({})


def test_a_process_that_talks_nonsense(start):
    for nonsense in ("b'hello'", "struct.pack('<I', 5) + b'hello'", "struct.pack('<I', 5) + bytes([255] * 5)", "b''"):
        worker = start(f"receive(); sys.stdout.buffer.write({nonsense}); sys.stdout.flush(); sys.exit(0)")
        with pytest.raises(WorkerError):
            worker.call({})


def test_a_program_that_does_not_start():
    with pytest.raises(WorkerError, match=r"ended with code 1: .*No module named"):
        Worker([sys.executable, "-c", "import no_such_module"])


def test_the_process_ends_with_the_worker(start):
    worker = Worker([sys.executable, "-c", PRELUDE + ECHO])
    pid = worker.hello["pid"]
    del worker
    gc.collect()
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    pytest.fail("it lives")
