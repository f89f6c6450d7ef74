"""The learner that trains through onnxruntime-training."""

import shutil
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmtool.backends.worker import Worker, WorkerError
from nmtool.errors import ModelError, SetupError
from nmtool.recipes import Recipe
from nmtool.training.arrays import set_state, state, to_numpy
from nmtool.training.batches import MicroBatch
from nmtool.training.checkpoint import Tensors
from nmtool.training.learner import Draw
from nmtool.training.ort_engine.graph import SHARE, Size, TrainingGraph
from nmtool.training.ort_engine.refusal import unbuildable
from nmtool.training.sizes import size
from nmtool.training.student import Student

WORKER = Path(__file__).with_name("worker.py")
_INPUT, _WEIGHT = "input:", "weight:"  # begin the names of arrays in messages
_STATE = "onnxruntime-training"
_TIMEOUT = 3600.0  # seconds that building the gradient, or one batch, may take

Arrays = dict[str, NDArray[Any]]


class OrtLearner:
    """Trains a student in a worker process, which sends the new weights after every step.

    The student in this process gets them too: there its weights size the noise, are clipped, averaged, validated and
    saved. What has changed here is sent with the next batch.
    """

    def __init__(
        self, student: Student, graph: TrainingGraph, recipe: Recipe, command: Sequence[str], threads: int | None = None
    ) -> None:
        """Start the worker, and let it build the gradient.

        Args:
            student: in torch, on the CPU.
            graph: the same with its loss.
            recipe: how to train; see `refusal.require`.
            command: the worker, which speaks the protocol of `worker.py`.
            threads: of the engine; None: as many as torch's.

        Raises:
            ModelError: the gradient cannot be built; it names the operator.
            SetupError: the worker does not start.
        """
        self._student, self._graph = student, graph
        tensors = state(student.graph, student.names)
        self._trained = [name for name, tensor in tensors.items() if tensor.requires_grad]
        self._there: Arrays = {}
        try:
            self._worker = Worker(command, _TIMEOUT)
        except (WorkerError, OSError) as error:
            hint = "make its environment anew: nmtool engine install ort-training --force"
            raise SetupError(f"the engine ort does not start: {error}", hint=hint) from error
        folder = mkdtemp(prefix="nmtool-ort-")
        self._removed = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        model = Path(folder) / "model.onnx"
        onnx.save(graph.proto, model)
        request = {
            "do": "build",
            "path": str(model),
            "trained": self._trained,
            "optimizer": _optimizer(recipe),
            "threads": threads or torch.get_num_threads(),
        }
        try:
            self._worker.call(request)
        except WorkerError as error:
            raise unbuildable(str(error)) from error

    def backward(
        self, batch: MicroBatch, targets: Mapping[str, Tensor], draw: Draw, share: float, *, last: bool
    ) -> float:
        """See Learner."""
        graph, here = self._graph, self._weights()
        changed = {
            name: array.copy() for name, array in here.items() if not np.array_equal(array, self._there.get(name, ()))
        }
        self._there |= changed
        feeds: Arrays = {name: to_numpy(tensor) for name, tensor in batch.feeds.items()}
        for name, target in graph.targets.items():
            found = batch.labels if target.part.target == "labels" else targets[target.part.term.value]
            assert found is not None  # a batch has been tried
            feeds[name] = to_numpy(target.classes(found) if target.part.is_of_classes else found.float())
        feeds |= {name: self._size(each, draw.mirrored) for name, each in graph.sizes.items()}
        feeds[graph.trial], feeds[graph.scale] = np.array(draw.trial), np.array(draw.eta, np.float32)
        feeds[SHARE] = np.array(share, np.float32)
        sent = {f"{_INPUT}{name}": feeds[name] for name in graph.inputs}
        sent |= {f"{_WEIGHT}{name}": array for name, array in changed.items()}
        return float(self._call("backward", sent)["loss"])

    def gradients(self) -> Arrays:
        """The gradient added up so far by the name of the array; it is then forgotten."""
        return self._call("gradients")

    def update(self, rate: float) -> float:
        """See Learner."""
        reply = self._call("update", rate=rate)
        norm = float(reply.pop("norm"))
        self._there = {name.removeprefix(_WEIGHT): array for name, array in reply.items()}
        set_state(self._student.graph, self._student.names, self._there)
        return norm

    def state(self) -> Tensors:
        """See Learner."""
        return {_STATE: torch.from_numpy(self._call("save")["state"].copy())}

    def restore(self, state: Tensors) -> None:
        """See Learner."""
        self._call("restore", {"state": to_numpy(state[_STATE])})
        self._there = {}

    def _weights(self) -> Arrays:
        tensors = state(self._student.graph, self._student.names)
        return {name: to_numpy(tensors[name]) for name in self._trained}

    def _size(self, each: Size, mirrored: bool) -> NDArray[Any]:
        """A parameter of the noise for the weights as they are now."""
        weights = state(self._student.graph, {each.array: self._student.names[each.array]})[each.array]
        found = size(weights, each.parameter.value, each.parameter.unit, each.channels.axis, each.channels.groups)
        return to_numpy(-found if mirrored and each.is_spread else found)

    def _call(self, do: str, arrays: Arrays | None = None, **settings: Any) -> Arrays:
        try:
            return self._worker.call({"do": do, **settings}, arrays)
        except WorkerError as error:
            raise ModelError(f"the engine ort failed: {error}", hint="use --engine torch") from error


def _optimizer(recipe: Recipe) -> dict[str, Any]:
    """As torch's: AdamW with its defaults, or plain gradient descent."""
    settings = {"betas": [0.9, 0.999], "eps": 1e-8} if recipe.optimizer == "adamw" else {}
    return {"kind": recipe.optimizer, "gradient_clip": recipe.gradient_clip, **settings}
