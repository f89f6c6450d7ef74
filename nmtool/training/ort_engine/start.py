"""From a student in torch to a learner that trains it with ONNX Runtime, checked against torch."""

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
from torch import Tensor

from nmtool.engines import installation
from nmtool.errors import ModelError
from nmtool.hardware import AnalogNoise
from nmtool.recipes import Recipe
from nmtool.training.arrays import state, to_numpy
from nmtool.training.batches import MicroBatch
from nmtool.training.learner import Draw, Learner
from nmtool.training.objective import Objective
from nmtool.training.ort_engine.graph import training_graph
from nmtool.training.ort_engine.learner import WORKER, OrtLearner
from nmtool.training.ort_engine.refusal import ENGINE
from nmtool.training.student import Placement, Student

_STRENGTH = 0.1  # of the noise: without any, a model that is its own teacher has no gradient
_TOLERANCE = 1e-3  # difference of a gradient, relative to its size


def start(
    model: ir.Model,
    student: Student,
    noise: AnalogNoise,
    placement: Placement,
    objective: Objective,
    recipe: Recipe,
    *,
    seed: int,
    threads: int | None,
) -> OrtLearner:
    """Let the engine build what trains the student.

    Args:
        model: the clean model in float32; it is changed.
        student: of that model, as it will be trained.
        noise: at strength one.
        placement: where it is.
        objective: what is trained for.
        recipe: how.
        seed: of the noise.
        threads: of the engine; None: as many as torch's.

    Raises:
        SetupError: the engine is not installed, or does not start.
        ModelError: the engine cannot train the model; it names the operator.
        UsageError: it has not the loss.
    """
    python = installation(ENGINE).python
    trained = [name for name, tensor in state(student.graph, student.names).items() if tensor.requires_grad]
    graph = training_graph(model, noise, placement, seed, objective, trained)
    return OrtLearner(student, graph, recipe, [str(python), "-I", str(WORKER)], threads)


def require_same_gradient(
    learner: OrtLearner,
    reference: Learner,
    student: Student,
    batch: MicroBatch,
    targets: Mapping[str, Tensor],
) -> None:
    """Refuse a model whose loss or gradient the engine computes otherwise than torch, with the same noise.

    Args:
        learner: of the engine.
        reference: of torch, of the same student.
        student: in the state in which it is trained; its gradients are forgotten.
        batch: to compare on.
        targets: of the batch.

    Raises:
        ModelError: naming the array whose gradient differs most.
    """
    draw = Draw(0, 0, False, _STRENGTH)
    student.zero_grad()
    want = reference.backward(batch, targets, draw, 1.0, last=True)
    have = learner.backward(batch, targets, draw, 1.0, last=True)
    tensors = state(student.graph, student.names)
    differences = {"the loss": abs(have - want) / max(abs(want), 1e-6)}
    gradients = learner.gradients()
    scale = max(float(np.linalg.norm(to_numpy(tensors[name].grad))) for name in gradients)
    for name, gradient in gradients.items():
        torchs = to_numpy(tensors[name].grad)
        size = max(float(np.linalg.norm(torchs)), 1e-3 * scale)
        differences[f"the gradient of {name!r}"] = float(np.linalg.norm(gradient - torchs)) / max(size, 1e-12)
    student.zero_grad()
    worst = max(differences, key=lambda name: differences[name])
    if not differences[worst] <= _TOLERANCE:
        raise ModelError(
            f"the engine ort does not compute what torch does: {worst} differs by {differences[worst]:.2g} of its size",
            hint="use --engine torch",
        )
