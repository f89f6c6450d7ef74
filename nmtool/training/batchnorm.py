"""Running statistics of BatchNormalization, taken anew under noise."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx

from nmtool.errors import UsageError
from nmtool.interpreter.ops.normalization import BatchNorm
from nmtool.training.student import Student


@dataclass(frozen=True, eq=False)
class RunningStatistics:
    """Those of one node.

    Attributes:
        module: the node, converted.
        mean: ONNX name of its running mean.
        var: ONNX name of its running variance.
    """

    module: BatchNorm
    mean: str
    var: str

    @property
    def merged(self) -> bool:
        """Whether an exporter has merged one of them with another array, so that neither can be written back."""
        return "@" in self.mean + self.var


def running_statistics(student: Student) -> list[RunningStatistics]:
    """Those of every node that stores its own, in graph order; not those that the model computes."""
    names = {path: name for name, path in student.names.items()}
    found = []
    for prefix, graph in student.graph.named_modules():
        for node in graph.graph.nodes if isinstance(graph, fx.GraphModule) else ():
            module = graph.get_submodule(node.target) if node.op == "call_module" else None
            if not isinstance(module, BatchNorm) or not module.stateful:
                continue
            paths = [f"{prefix}.{each.target}".removeprefix(".") for each in node.args[3:5]]
            if all(path in names for path in paths):  # else they come from outside of the branch of an If
                found.append(RunningStatistics(module, *(names[path] for path in paths)))
    return found


@torch.no_grad()
def recalibrate(
    student: Student,
    batches: Iterable[tuple[Tensor, ...]],
    trials: Iterable[int],
    scale: float,
    chosen: Sequence[RunningStatistics] | None = None,
) -> None:
    """Make the running statistics the mean over batches of the batches' own, all batches with the same weight.

    Every batch has its own noise and passes layers that normalize by its own statistics, as in training (Tsai et al.
    2020, arXiv:2007.03230); nothing else behaves as in training. Variances are unbiased, as torch's are. The student is
    left in evaluation mode.

    Args:
        student: whose statistics are changed.
        batches: its inputs without trial and scale, on its device; at least one.
        trials: a number for each batch.
        scale: of the noise.
        chosen: which nodes; None: all but those with merged statistics.

    Raises:
        UsageError: a batch has a single value of some channel, which has no variance.
    """
    if chosen is None:
        chosen = [each for each in running_statistics(student) if not each.merged]
    modules = [each.module for each in chosen]
    momenta = [module.momentum for module in modules]
    student.eval()
    try:
        for module in modules:
            module.train()
        for count, (inputs, trial) in enumerate(zip(batches, trials, strict=False), start=1):
            for module in modules:
                module.momentum = 1 / count
            device = inputs[0].device
            student(*inputs, torch.tensor(trial, device=device), torch.tensor(scale, device=device))
    except ValueError as error:
        raise UsageError(f"a batch has no statistics: {error}", hint="take more samples per batch") from error
    finally:
        for module, momentum in zip(modules, momenta, strict=True):
            module.momentum = momentum
        student.eval()
