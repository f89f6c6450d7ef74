"""What is checked: the model and everything that rules derive from it, each once and when it is asked for."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import onnx_ir as ir

from nmtool import backends, provenance
from nmtool.backends import Array
from nmtool.backends.ports import ports
from nmtool.checks.declared import Declared, declare
from nmtool.checks.gates import Gate
from nmtool.checks.inputs import made_up
from nmtool.data import DataOptions, Dataset, DataSource
from nmtool.data import load as load_data
from nmtool.errors import ModelError
from nmtool.hardware import AnalogNoise
from nmtool.model import ModelSource, initializer_tensors, load
from nmtool.passes.strip_noise import StripNoise
from nmtool.reimport import Source, read
from nmtool.verbs.inject import inject
from nmtool.verbs.noisy import NoisyRunner

Variant = Literal["given", "clean", "noisy"]
Device = Literal["auto", "cpu", "cuda"]

_KEPT = 1 << 30
"""Bytes of weights up to which sessions of a model are kept beside each other; of a larger one, only the last."""
SAMPLES = 4
"""Samples that backends are compared on, where the model's batch is open."""


@dataclass(frozen=True)
class Request:
    """What to check; the fields are the arguments of `nmtool.check`, resolved.

    Attributes:
        model: the model.
        against: the original that it came from.
        data: real samples; without, rules that need no labels work on random ones.
        data_options: how to read and prepare them.
        noise: what to inject into a model without noise; None: check it as it is.
        placement: where to, as keyword arguments of `nmtool.inject`.
        backends: names of those to check; None: all that are installed.
        custom_ops: operator libraries of the user's.
        device: where ONNX Runtime, and other backends that can, work; "auto" leaves it to them.
        gates: conditions on metrics under noise.
        trials: noise samples of statistical rules.
        max_trials: noise samples after which a gate that is not decided fails.
        alpha: chance of a false alarm of each statistical rule, and one minus the confidence of gates.
        seed: of random inputs, and of the noise that is injected.
        progress: called by rules that take long, with what they do, how much is done and how much there is.
    """

    model: Source
    against: "Source | None" = None
    data: DataSource | None = None
    data_options: DataOptions = field(default_factory=DataOptions)
    noise: AnalogNoise | None = None
    placement: Mapping[str, Any] = field(default_factory=dict)
    backends: Sequence[str] | None = None
    custom_ops: Sequence[str | os.PathLike[str]] = ()
    device: Device = "auto"
    gates: Sequence[Gate] = ()
    trials: int = 200
    max_trials: int = 100
    alpha: float = 0.01
    seed: int = 0
    progress: Callable[[str, int, int], None] | None = None


class Subject:
    """A model under check.

    Attributes:
        request: what to check.
        proto: the model's message, without its external data.
        folder: what external data is relative to.
    """

    def __init__(self, request: Request) -> None:
        """Read the message.

        Raises:
            ModelError: it is not an ONNX model at all.
        """
        self.request = request
        self.proto, self.folder = read(request.model)
        self._runners: dict[tuple[str, Variant], NoisyRunner] = {}

    @cached_property
    def model(self) -> ir.Model:
        """The model; ModelError where it is too malformed to be one."""
        return load(self.request.model)

    @cached_property
    def record(self) -> provenance.Provenance | None:
        """How it was made noisy, if it is."""
        return provenance.read(self.model)

    @cached_property
    def clean(self) -> ir.Model:
        """The model without noise."""
        model = load(self.model)
        return model if self.record is None else StripNoise()(model).model

    @cached_property
    def noisy(self) -> ir.Model | None:
        """The model with noise: itself, or with that of the request; None where there is neither."""
        if self.record is not None:
            return self.model
        request = self.request
        if request.noise is None:
            return None
        return inject(self.model, noise=request.noise, seed=request.seed, **request.placement).model

    @property
    def made_noisy(self) -> tuple[ir.Model, provenance.Provenance]:
        """The model with noise, and how it was made; ModelError where there is none."""
        record = None if self.noisy is None else provenance.read(self.noisy)
        if self.noisy is None or record is None:
            raise ModelError("the model has no noise", hint="inject some with --eta")
        return self.noisy, record

    @cached_property
    def declared(self) -> Declared:
        """The noise that the model declares; ModelError where that cannot be told."""
        return declare(*self.made_noisy)

    @cached_property
    def outputs(self) -> list[str]:
        """Names of the outputs that are tensors: neither sequences nor maps; ModelError where none is."""
        names = [output.name for output in self.proto.graph.output if output.type.WhichOneof("value") == "tensor_type"]
        if not names:
            raise ModelError("no output of the model is a tensor", hint="leave sequences and maps to the caller")
        return names

    @cached_property
    def data(self) -> Dataset | None:
        """The samples of the request."""
        if self.request.data is None:
            return None
        return load_data(self.request.data, ports(self.clean), self.request.data_options)

    @cached_property
    def feeds(self) -> Mapping[str, Array]:
        """A few samples: what backends are compared on."""
        return self.samples(SAMPLES)

    def samples(self, count: int) -> Mapping[str, Array]:
        """So many samples, real ones where there are any; as many as the model's batch where that is not open."""
        if self.data is None:
            return made_up(self.clean, self._run, batch=count, seed=self.request.seed)
        if self.data.fixed:
            return next(iter(self.data)).feeds
        return self.data.take(range(min(count, self.data.count))).feeds

    def progress(self, what: str, done: int, total: int) -> None:
        """Report to the caller of the check."""
        if self.request.progress is not None:
            self.request.progress(what, done, total)

    def _run(self, feeds: Mapping[str, Array]) -> object:
        return self.on("onnxruntime", "clean").run(self.outputs, feeds, trial=0, scale=1.0)

    def on(self, backend: str, variant: Variant) -> NoisyRunner:
        """The model on a backend, loaded once, or each time where it is large.

        Raises:
            SetupError: the backend is not installed.
            ModelError: it rejects the model, or there is no such variant.
        """
        key = (backend, variant)
        if key not in self._runners:
            if sum(tensor.nbytes for tensor in initializer_tensors(self.model)) > _KEPT:
                self._runners.clear()
            self._runners[key] = NoisyRunner(backends.load(self._model_of(variant), backend, **self.options(backend)))
        return self._runners[key]

    def options(self, backend: str) -> dict[str, Any]:
        """What the request says of how a backend loads models, as far as it is for this one."""
        given: dict[str, Any] = {}
        if self.request.custom_ops:
            given["custom_ops"] = self.request.custom_ops
        if self.request.device != "auto":
            given["device"] = self.request.device
        return {name: value for name, value in given.items() if backends.takes(backend, name)}

    def _model_of(self, variant: Variant) -> ModelSource:
        if variant == "given":  # the file itself, where it is one: runtimes read it in their own way
            return self.request.model
        if variant == "clean":
            return self.clean
        return self.made_noisy[0]
