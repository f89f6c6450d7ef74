"""Engines in a process of their own: those of another language, and those that can take the whole process down.

Requests and replies go through the process's stdin and stdout. Each is the length of a header (32 bits, little-endian),
the header as JSON, and the bytes of the arrays that the header lists. A reply with an `error` is a failure.
"""

import contextlib
import json
import struct
import subprocess
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from tempfile import TemporaryFile
from typing import IO, Any, TypeAlias

import numpy as np

from nmtool.backends.runner import Array

TIMEOUT = 300.0
"""Seconds that a request may take, unless the user says otherwise: then the process hangs."""


_Message: TypeAlias = tuple[dict[str, Any], dict[str, Array]]


class WorkerError(Exception):
    """The engine failed, or its process did; the message is the reason."""


class Worker:
    """A process that runs an engine; it ends with this object.

    Attributes:
        hello: header of the first reply, which the process sends by itself.
    """

    def __init__(self, command: Sequence[str], timeout: float = TIMEOUT) -> None:
        """Start the process.

        Args:
            command: program and arguments.
            timeout: seconds that each request may take.

        Raises:
            WorkerError: it does not start.
            OSError: there is no such program.
        """
        self._timeout, self._timed_out = timeout, False
        self._log = TemporaryFile()  # noqa: SIM115  # closed with the process
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self._log)
        self.close = weakref.finalize(self, _end, self._process, self._log)
        self.hello, _ = self._within_time(self._receive)

    def call(self, header: Mapping[str, Any], arrays: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Send a request and wait for its reply.

        Raises:
            WorkerError: the engine failed, its process ended, or the time is up.
        """

        def exchange() -> _Message:
            self._send(header, arrays or {})
            return self._receive()

        return self._within_time(exchange)[1]

    def _within_time(self, action: Callable[[], _Message]) -> _Message:
        if not self.close.alive:
            raise WorkerError("its process has ended")
        timer = threading.Timer(self._timeout, self._give_up)
        timer.start()
        try:
            return action()
        except (OSError, EOFError, ValueError) as error:  # the last: it does not speak the protocol
            raise WorkerError(self._epitaph()) from error
        finally:
            timer.cancel()

    def _give_up(self) -> None:
        self._timed_out = True
        self._process.kill()

    def _epitaph(self) -> str:
        """Why the process ended; it has, or is about to, or has to."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        self._process.kill()
        code = self._process.wait()
        self._log.seek(0)
        last = self._log.read().decode(errors="replace").strip().rpartition("\n")[2]
        self.close()
        if self._timed_out:
            return f"no answer within {self._timeout:g} s"
        return f"its process ended with code {code}: {last}"

    def _send(self, header: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        listed = [{"name": name, "dtype": str(a.dtype), "shape": list(a.shape)} for name, a in arrays.items()]
        text = json.dumps({**header, "arrays": listed}).encode()
        stream = _pipe(self._process.stdin)
        stream.write(struct.pack("<I", len(text)) + text)
        for array in arrays.values():
            stream.write(np.ascontiguousarray(array).tobytes())
        stream.flush()

    def _receive(self) -> _Message:
        (length,) = struct.unpack("<I", self._read(4))
        header = json.loads(self._read(length))
        if "error" in header:
            raise WorkerError(header["error"])
        arrays = {}
        for each in header.get("arrays", ()):
            dtype, shape = np.dtype(each["dtype"]), each["shape"]
            data = self._read(dtype.itemsize * int(np.prod(shape, dtype=np.int64)))
            arrays[each["name"]] = np.frombuffer(data, dtype).reshape(shape)
        return header, arrays

    def _read(self, size: int) -> bytearray:
        data = bytearray(size)
        view, stream = memoryview(data), _pipe(self._process.stdout)
        while view:
            count = stream.readinto(view)  # type: ignore[attr-defined]  # a BufferedReader has it
            if not count:
                raise EOFError
            view = view[count:]
        return data


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # all workers are started with pipes
    return stream


def _end(process: "subprocess.Popen[bytes]", log: IO[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdout, log):
        _pipe(stream).close()
    with contextlib.suppress(OSError):  # of what it has not read
        _pipe(process.stdin).close()
