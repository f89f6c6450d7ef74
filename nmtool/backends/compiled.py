"""Runners on engines that compile a whole model: what they have in common, so that an engine's own file is short."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from nmtool import provenance
from nmtool.backends.engine import Compute, Engine
from nmtool.backends.noise_probe import require_specified_noise
from nmtool.backends.ports import all_ports
from nmtool.backends.runner import Array, Port
from nmtool.errors import ModelError, NmtoolError
from nmtool.model import ModelSource
from nmtool.model import load as load_model

_KEPT = 8  # compiled variants of a model; a runner with more of them starts over


class CompiledRunner:
    """A model on an engine.

    An input with a default is a constant for the engine until a run feeds it: engines fold constants, and most know no
    inputs with defaults. The inputs of the noise are always fed.
    """

    def __init__(self, model: ModelSource, engine: Engine) -> None:
        """Compile the model, unless that has to wait for the shapes of its inputs.

        Raises:
            ModelError: the model cannot be read, the engine rejects it, or it draws other noise than it should.
        """
        self._model, self._engine = load_model(model), engine
        self._compiled: dict[tuple[object, ...], Compute] = {}
        self.inputs: Mapping[str, Port] = all_ports(self._model)
        self.outputs: Sequence[str] = [output.name or "" for output in self._model.graph.outputs]
        self.metadata: Mapping[str, str] = self._model.metadata_props
        self.description = engine.name
        self.library = False
        require_specified_noise(self._model, engine)
        noise = provenance.read(self._model)
        always = set(noise.inputs.values()) if noise else set()
        fed = [port for name, port in self.inputs.items() if not port.optional or name in always]
        if not engine.by_shape:
            self._compute({port.name: () for port in fed})
        elif all(port.shape is not None and None not in port.shape for port in fed):
            self._compute({port.name: port.shape for port in fed})

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """See Runner.run."""
        failed = f"{self._engine.name} failed to run the model"
        arrays = {name: np.asarray(array) for name, array in feeds.items()}
        if misfit := self._misfit(outputs, arrays):
            raise ModelError(f"{failed}: {misfit}")
        compute = self._compute({name: array.shape for name, array in arrays.items()})
        try:
            return list(compute(outputs, arrays))
        except NmtoolError:
            raise
        except Exception as error:  # engines have no common base of errors
            raise ModelError(f"{failed}: {self._engine.reason(error)}") from error

    def _compute(self, shapes: Mapping[str, tuple[int | None, ...] | None]) -> Compute:
        """The model compiled for these inputs."""
        key = tuple(sorted(shapes.items() if self._engine.by_shape else shapes))
        if key not in self._compiled:
            if len(self._compiled) == _KEPT:
                self._compiled.clear()
            variant = _with_inputs(self._model, shapes)
            if self._engine.by_shape:
                _set_shapes(variant, shapes)
            try:
                self._compiled[key] = self._engine.build(variant)
            except NmtoolError:
                raise
            except Exception as error:  # as above
                raise ModelError(f"{self._engine.name} cannot load the model: {self._engine.reason(error)}") from error
        return self._compiled[key]

    def _misfit(self, outputs: Sequence[str], feeds: Mapping[str, Array]) -> str | None:
        """What is wrong with the names and arrays: engines convert, or crash, where they should complain."""
        for port in self.inputs.values():
            if not port.optional and port.name not in feeds:
                return f"no array for input {port.name!r}"
        for name, array in feeds.items():
            if name not in self.inputs:
                return f"no input {name!r}"
            if not _fits(array, self.inputs[name]):
                return f"input {name!r} is {array.dtype} {list(array.shape)}, not {self.inputs[name]}"
        return next((f"no output {name!r}" for name in outputs if name not in self.outputs), None)


def _fits(array: Array, port: Port) -> bool:
    same_rank = port.shape is None or len(port.shape) == array.ndim
    sizes = zip(port.shape or (), array.shape, strict=False)
    return array.dtype == port.dtype and same_rank and all(want in (None, size) for want, size in sizes)


def _with_inputs(model: ir.Model, fed: Mapping[str, object]) -> ir.Model:
    """A copy whose inputs are the fed ones, all required; the others become constants."""
    variant = model.clone()
    for value in list(variant.graph.inputs):
        if not value.is_initializer():
            continue
        if value.name in fed:
            variant.graph.initializers.pop(value.name or "")
            value.const_value = None
        else:
            variant.graph.inputs.remove(value)
    return variant


def _set_shapes(model: ir.Model, shapes: Mapping[str, tuple[int | None, ...] | None]) -> None:
    """Give the inputs their shapes, and forget those of all other values: they may be of other batches."""
    for value in model.graph.inputs:
        value.shape = ir.Shape(shapes[value.name or ""] or ())
    for node in model.graph.all_nodes():
        for output in node.outputs:
            output.shape = None
