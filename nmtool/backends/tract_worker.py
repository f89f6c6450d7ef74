"""Runs one model in tract; the protocol is described in worker.py. Imports nothing of nmtool, to start fast."""

import json
import struct
import sys
from typing import Any

import numpy as np


def main() -> None:
    """Serve until nobody is there any more."""
    import tract

    model: Any = None
    inputs: list[str] = []
    reply({})
    while True:
        (length,) = struct.unpack("<I", read(4))
        header = json.loads(read(length))
        feeds = {each["name"]: array(each) for each in header["arrays"]}
        try:
            if "path" in header:
                parsed = tract.onnx().load(header["path"])
                inputs = [parsed.input_name(index) for index in range(parsed.input_count())]
                model = parsed.into_model().into_runnable()
                reply({})
            else:
                results = model.run([feeds[name] for name in inputs])
                reply({}, {str(index): results[index].to_numpy() for index in header["outputs"]})
        except Exception as error:
            reply({"error": str(error)})


def read(size: int) -> bytes:
    """So many bytes of the request."""
    data = sys.stdin.buffer.read(size)
    if len(data) < size:
        sys.exit()
    return data


def array(each: dict[str, Any]) -> "np.ndarray[Any, Any]":
    """An array of the request."""
    dtype = np.dtype(each["dtype"])
    data = read(dtype.itemsize * int(np.prod(each["shape"], dtype=np.int64)))
    return np.frombuffer(data, dtype).reshape(each["shape"])


def reply(header: dict[str, Any], arrays: "dict[str, np.ndarray[Any, Any]] | None" = None) -> None:
    """Send a reply."""
    named = (arrays or {}).items()
    listed = [{"name": name, "dtype": str(data.dtype), "shape": data.shape} for name, data in named]
    text = json.dumps({**header, "arrays": listed}).encode()
    sys.stdout.buffer.write(struct.pack("<I", len(text)) + text + b"".join(data.tobytes() for _, data in named))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
