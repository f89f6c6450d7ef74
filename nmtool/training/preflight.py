"""What is found out before training starts, so that it does not fail, or train nothing, later."""

from collections.abc import Mapping

import onnx
import torch
from torch import Tensor

from nmtool.backends import Array
from nmtool.errors import ModelError, UsageError
from nmtool.training.batches import MicroBatch
from nmtool.training.losses import Distillation
from nmtool.training.objective import Objective
from nmtool.training.student import Student
from nmtool.training.teacher import Teacher, require_same_shapes

_FLOATS = {
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
}
_TOLERANCE = 1e-3  # relative difference of a batch and its samples one by one


def freeze_what_cannot_be_written(student: Student, stored: Mapping[str, int]) -> list[str]:
    """Keep parameters as they are that have no real-valued array in the file.

    Args:
        student: what will be trained.
        stored: element type of every array of the file, by name.

    Returns:
        What was kept, and why.

    Raises:
        ModelError: nothing is left to train.
    """
    quantized: list[str] = []
    inner: list[str] = []
    parameters = dict(student.graph.named_parameters())
    for name, path in student.names.items():
        if path in parameters and stored.get(name) not in _FLOATS:
            (quantized if name in stored else inner).append(name)
            parameters[path].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in parameters.values()):
        raise ModelError(
            "the model has no real-valued weights to train" + (": they are quantized" if quantized else ""),
            hint="train the model it was quantized from, and quantize the result" if quantized else None,
        )
    notes = []
    if quantized:
        notes.append(f"not trained, because their values are integer codes: {', '.join(quantized)}")
    if inner:
        notes.append(f"not trained, because they are inside functions: {', '.join(inner)}")
    return notes


def try_a_batch(
    student: Student,
    objective: Objective,
    positions: Mapping[str, int],
    teacher: Teacher | None,
    batch: MicroBatch,
    all_labels: Array | None,
    device: torch.device,
) -> list[str]:
    """Run student and teacher once, and keep parameters as they are that no gradient comes back to.

    Args:
        student: what will be trained.
        objective: what for.
        positions: where the values of the loss are among the student's outputs.
        teacher: gives the targets, if the loss has any.
        batch: to run on.
        all_labels: those of the whole data set.
        device: where the student is.

    Returns:
        Which ones.

    Raises:
        ModelError: the student does not take batches, or its outputs are not the teacher's, or no gradient comes back.
        UsageError: the labels do not fit the loss.
    """
    student.eval()
    batch = batch.to(device)
    trial, scale = torch.tensor(0, device=device), torch.tensor(0.0, device=device)
    feeds = list(batch.feeds.values())
    try:
        with torch.backends.cudnn.flags(allow_tf32=False):  # a GPU would round as much as mixed samples differ
            outputs = student(*feeds, trial, scale)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise ModelError(
            f"the model cannot be run on a batch of {len(batch.indices)} in torch: {str(error).splitlines()[0]}",
            hint="export it with a dynamic batch dimension, or train with --batch-size 1",
        ) from error
    _require_independence(student, feeds, outputs, len(batch.indices))
    values = {name: outputs[position] for name, position in positions.items()}
    targets = teacher(batch) if teacher is not None else {}
    require_same_shapes(values, targets)
    first = objective.terms[0]
    if all_labels is not None and isinstance(first.loss, Distillation):
        _require_classes(all_labels, values[first.value].shape[first.loss.axis], values[first.value].ndim)
    labels = {} if batch.labels is None else {first.value: batch.labels}
    loss = objective.loss(values, targets, labels)
    if not loss.requires_grad:
        raise ModelError(f"no gradient comes back from {', '.join(positions)} to any weight")
    loss.backward()
    unreached = [
        name
        for name, path in student.names.items()
        if (parameter := dict(student.graph.named_parameters()).get(path)) is not None
        and parameter.requires_grad
        and parameter.grad is None
    ]
    for name in unreached:
        student.graph.get_parameter(student.names[name]).requires_grad_(False)
    student.zero_grad()
    return [f"not trained, because the loss does not depend on them: {', '.join(unreached)}"] if unreached else []


def default_metric(objective: Objective, labels: bool) -> str:
    """A metric that fits the first loss."""
    if objective.terms[0].kind != "distillation":
        return "mse"
    return "top1" if labels else "agreement"


def _require_independence(student: Student, feeds: list[Tensor], outputs: tuple[Tensor, ...], count: int) -> None:
    """A batch must be what its samples are one by one: exporters bake the batch into shapes."""
    trial, scale = torch.tensor(0, device=feeds[0].device), torch.tensor(0.0, device=feeds[0].device)
    if count < 2:
        return
    with torch.no_grad(), torch.backends.cudnn.flags(allow_tf32=False):
        alone = student(*(feed[:1] if feed.ndim and len(feed) == count else feed for feed in feeds), trial, scale)
    for together, single in zip(outputs, alone, strict=True):
        if together.ndim == 0 or not together.is_floating_point():
            continue
        size = max(float(single.abs().max()) if single.numel() else 0.0, 1e-6)
        if len(together) != count or float((together[:1].detach() - single).abs().max()) > _TOLERANCE * size:
            raise ModelError(
                f"the model mixes the samples of a batch of {count}",
                hint="export it with a dynamic batch dimension, or train with --batch-size 1",
            )


def _require_classes(labels: Array, classes: int, rank: int) -> None:
    """Class numbers must be classes; labels of the rank of the logits are one-hot."""
    if labels.dtype.kind in "iu" and labels.ndim < rank and (labels.min() < 0 or labels.max() >= classes):
        raise UsageError(f"labels run from {labels.min()} to {labels.max()}, the output has {classes} classes")
