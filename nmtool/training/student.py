"""The model that is trained: the one that `inject` makes, with noise as large as the weights of the moment ask for."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import onnx_ir as ir
import torch
from torch import Tensor, fx, nn

from nmtool.errors import ModelError
from nmtool.hardware import AnalogNoise
from nmtool.interpreter.convert import NAMES, convert
from nmtool.interpreter.ops.noise import Noise
from nmtool.noise.base import Channels, Parameter
from nmtool.noise.cell import Cell
from nmtool.noise.stream import stream_of
from nmtool.ops import RUN, SCALE, TIME, TRIAL
from nmtool.passes.inject_noise import InjectNoise, require_clean
from nmtool.passes.selection import Selection
from nmtool.training.sizes import size


@dataclass(frozen=True)
class Placement:
    """Which arrays are noisy, as in `nmtool.inject`.

    Attributes:
        selection: of the analog nodes.
        per_channel: the noise is sized by each output channel instead of the whole array.
        dynamic: the right operand of products of two activations is noisy too.
    """

    selection: Selection = field(default_factory=Selection)
    per_channel: bool = False
    dynamic: bool = False


class Student(nn.Module):
    """A converted model with noise.

    Attributes:
        graph: the converted model.
        report: what is noisy and what is not, as `inject` says it.
        names: path in `graph` of every parameter and buffer, by its ONNX name.
        channels: where the output channels of each noisy array are, by its ONNX name.
        is_clean_without_noise: at scale 0 it is the clean model; hardware has effects that are no noise.
        time: seconds since programming, of shape ().
    """

    def __init__(self, model: ir.Model, noise: AnalogNoise, placement: Placement, seed: int) -> None:
        """Put noise on the model, which is changed, and convert it.

        At trial t and scale s the noise is that of the injected model with the same seed at the same trial and scale,
        but its size follows the weights: its parameters are relative to statistics of the weights as they are when the
        student is called, through which no gradient flows.

        Args:
            model: the clean model.
            noise: the noise model.
            placement: where the noise goes.
            seed: of the noise.

        Raises:
            ModelError: the model is noisy already, has no weights to make noisy, or cannot be converted.
            UsageError: a pattern of the placement matches nothing, or the noise has no form per channel.
        """
        super().__init__()
        require_clean(model)
        inject = InjectNoise(
            noise,
            seed=seed,
            selection=placement.selection,
            per_channel=placement.per_channel,
            dynamic=placement.dynamic,
        )
        inject(model)
        if not inject.inputs:
            raise ModelError("nothing to train under noise: no node has analog weights", hint="see `nmtool list ops`")
        self.is_clean_without_noise = not inject.has_hardware
        self._kinds = tuple(inject.inputs)
        self._oldest = inject.hardware.time
        self.time = torch.tensor(self._oldest)  # no buffer: processes would exchange it at every step
        for name in inject.inputs.values():
            model.graph.initializers.pop(name).const_value = None  # inputs that every call gives
        self.report = inject.report
        self.graph = convert(model)
        self.names: dict[str, str] = self.graph.meta[NAMES]
        self.channels = dict(inject.channels)
        channels = {
            stream_of(name): each if placement.per_channel else Channels() for name, each in self.channels.items()
        }
        stages = {  # cells size their noise themselves
            stream_of(name): [stage.parameters for stage in each.stages()]
            for name, each in inject.noises.items()
            if not isinstance(each, Cell)
        }
        for module in self.graph.modules():
            if isinstance(module, fx.GraphModule):
                _size_by_the_weights(module, stages, channels)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The outputs; `inputs` are the model's in order, then the trial (int64) and the scale, of shape ().

        What devices draw at every run has the number of the trial too: it is another draw of the array's stream.
        """
        *given, trial, scale = inputs
        noise = {TRIAL: trial, SCALE: scale, RUN: trial, TIME: self.time.to(trial.device)}
        outputs = self.graph(*given, *(noise[kind] for kind in self._kinds))
        return outputs if isinstance(outputs, tuple) else (outputs,)

    def age(self, part: float) -> None:
        """Set the time since programming: `part` of the way from 0 to that of the hardware, on a logarithmic scale.

        Devices drift with the logarithm of the time, so that parts that are drawn uniformly show all of the drift.

        Args:
            part: from 0 to 1; at 1 it is the time of the hardware itself.
        """
        self.time.fill_(math.expm1(part * math.log1p(self._oldest)))

    def mirror(self, mirrored: bool) -> None:
        """From now on draw the other half of antithetic pairs, or the first half again."""
        for noise in self._noises():
            noise.mirrored = mirrored

    def reseed(self, seed: int) -> None:
        """From now on draw the noise of this seed."""
        for noise in self._noises():
            noise.seed = seed

    def _noises(self) -> Iterator[Noise]:
        return (module for module in self.modules() if isinstance(module, Noise))


def _size_by_the_weights(
    graph: fx.GraphModule, stages: dict[int, list[tuple[Parameter, ...]]], channels: dict[int, Channels]
) -> None:
    """Replace the parameters of the noise, which inject computed, by functions of the clean weights."""
    for node, noise in _noises(graph):
        if noise.stream not in stages:  # cells, and activations, which the model measures itself
            continue
        clean: Any = node.args[0]
        while (before := _noise(graph, clean)) is not None and before.stream == noise.stream:
            clean = clean.args[0]
        parameters = stages[noise.stream][noise.draw]
        with graph.graph.inserting_before(node):
            by = channels[noise.stream]
            sizes = [
                graph.graph.call_function(size, (clean, parameter.value, parameter.unit, by.axis, by.groups))
                for parameter in parameters
            ]
        node.args = (node.args[0], *sizes, *node.args[1 + len(parameters) :])
    graph.graph.eliminate_dead_code()
    graph.recompile()


def _noises(graph: fx.GraphModule) -> Iterator[tuple[fx.Node, Noise]]:
    for node in list(graph.graph.nodes):
        if (noise := _noise(graph, node)) is not None:
            yield node, noise


def _noise(graph: fx.GraphModule, node: fx.Node) -> Noise | None:
    module = graph.get_submodule(node.target) if node.op == "call_module" else None
    return module if isinstance(module, Noise) else None
