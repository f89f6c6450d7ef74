"""Trains one model with onnxruntime-training; the protocol is described in nmtool/backends/worker.py.

It runs in an environment of its own, which has neither nmtool nor a recent onnx, so it imports nothing of either.

| request | arrays | reply |
|---|---|---|
| build: path, trained, optimizer, threads | | |
| backward | `input:` and names of inputs; `weight:` and names of arrays to replace | loss |
| gradients | | the sum of those so far by name, which is then forgotten |
| update: rate | | norm of the gradient before clipping; `weight:` and names of the trained arrays |
| save | | state of the optimizer, bytes |
| restore | state | |
"""

import json
import os
import signal
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np

INPUT, WEIGHT = "input:", "weight:"
Arrays = dict[str, "np.ndarray[Any, Any]"]


class Training:
    """A model, its gradients and its optimizer.

    Gradients add up from call to call until an update; a step whose gradient is not finite is not made.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        import onnx
        import onnxruntime
        from onnxruntime.training import artifacts
        from onnxruntime.training.onnxblock import optim

        onnxruntime.set_default_logger_severity(3)
        self._folder = Path(request["path"]).parent
        self._threads = request["threads"]
        self._trained = request["trained"]
        settings = dict(request["optimizer"])
        kind, self._limit = settings.pop("kind"), settings.pop("gradient_clip")
        model = onnx.load(request["path"])
        artifacts.generate_artifacts(
            model,
            requires_grad=self._trained,
            frozen_params=[each.name for each in model.graph.initializer if each.name not in self._trained],
            optimizer={"adamw": optim.AdamW, "sgd": optim.SGD}[kind](**settings),
            artifact_directory=self._folder,
        )
        self._open(self._folder / "checkpoint")

    def _open(self, checkpoint: Path) -> None:
        import onnxruntime
        from onnxruntime.training.api import CheckpointState, Module, Optimizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        self._state = CheckpointState.load_checkpoint(checkpoint)
        self._module = Module(self._folder / "training_model.onnx", self._state, session_options=options)
        self._optimizer = Optimizer(self._folder / "optimizer_model.onnx", self._module)

    def backward(self, request: dict[str, Any], arrays: Arrays) -> Arrays:
        """Add the gradient of a batch."""
        for name, weights in arrays.items():
            if name.startswith(WEIGHT):
                self._state.parameters[name[len(WEIGHT) :]] = weights
        feeds = [arrays[f"{INPUT}{name}"] for name in self._module.input_names()]
        return {"loss": np.asarray(self._module(*feeds))}

    def gradients(self, request: dict[str, Any], arrays: Arrays) -> Arrays:
        """The gradient, which ends here."""
        self._module.lazy_reset_grad()
        return {name: self._state.parameters[name].grad for name in self._trained}

    def update(self, request: dict[str, Any], arrays: Arrays) -> Arrays:
        """Make a step."""
        gradients = self.gradients(request, arrays)
        norm = np.sqrt(np.sum([np.square(each, dtype=np.float64).sum() for each in gradients.values()]))
        if self._limit and norm > self._limit:
            self._scale(gradients, self._limit / (norm + 1e-6))
        if np.isfinite(norm):
            self._optimizer.set_learning_rate(request["rate"])
            self._optimizer.step()
        return {"norm": norm} | {f"{WEIGHT}{name}": self._state.parameters[name].data for name in self._trained}

    def _scale(self, gradients: Arrays, factor: float) -> None:
        """Change the gradient in place: the engine's own clipping gives other bits in every process."""
        for name, gradient in gradients.items():
            held = self._state.parameters[name]._parameter.grad  # a view; the public one is a copy
            held.update_inplace(gradient * np.float32(factor))

    def save(self, request: dict[str, Any], arrays: Arrays) -> Arrays:
        """The state of weights and optimizer."""
        from onnxruntime.training.api import CheckpointState

        path = self._folder / "saved"
        CheckpointState.save_checkpoint(self._state, path, include_optimizer_state=True)
        return {"state": np.frombuffer(path.read_bytes(), np.uint8)}

    def restore(self, request: dict[str, Any], arrays: Arrays) -> Arrays:
        """Go on from such a state."""
        path = self._folder / "restored"
        path.write_bytes(arrays["state"].tobytes())
        self._open(path)
        return {}


def main() -> None:
    """Serve until nobody is there any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # that is for nmtool, which finishes the step
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else is printed goes to the log
    training: Any = None
    reply(replies, {})
    while True:
        (length,) = struct.unpack("<I", read(4))
        request = json.loads(read(length))
        arrays = {each["name"]: array(each) for each in request["arrays"]}
        try:
            if request["do"] == "build":
                training = Training(request)
                reply(replies, {})
            else:
                reply(replies, {}, getattr(training, request["do"])(request, arrays))
        except Exception as error:
            reply(replies, {"error": f"{type(error).__name__}: {error}"})


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


def reply(stream: Any, header: dict[str, Any], arrays: "Arrays | None" = None) -> None:
    """Send a reply."""
    named = [(name, np.ascontiguousarray(data).reshape(np.shape(data))) for name, data in (arrays or {}).items()]
    listed = [{"name": name, "dtype": str(data.dtype), "shape": data.shape} for name, data in named]
    text = json.dumps({**header, "arrays": listed}).encode()
    stream.write(struct.pack("<I", len(text)) + text)
    for _, data in named:
        stream.write(data.tobytes())
    stream.flush()


if __name__ == "__main__":
    main()
