"""ONNX Runtime: the only module that imports onnxruntime."""

import functools
import logging
import re
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import onnx_ir as ir

from nmtool import provenance
from nmtool.backends.files import path_or_bytes
from nmtool.backends.runner import Array, Port
from nmtool.errors import ModelError, SetupError, UsageError
from nmtool.library import library_path, simd_levels
from nmtool.model import ModelSource, metadata
from nmtool.model import load as load_model
from nmtool.passes.lowering import Lowered, Sampling, lower

try:
    import onnxruntime
except ImportError as error:
    raise SetupError("onnxruntime is not installed", hint="pip install 'nmtool[cpu]' (or 'nmtool[gpu]')") from error

logger = logging.getLogger(__name__)

Optimization = Literal["none", "basic", "extended", "all"]
Device = Literal["auto", "cpu", "cuda"]

_LEVELS = {
    "none": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_ERRORS_ONLY = 3  # log severity: the warnings are about our inputs with defaults, which are meant to be inputs
_FATAL_ONLY = 4  # a run's errors are raised: nothing to print
_DTYPES = {
    "float": "float32",
    "double": "float64",
    "float16": "float16",
    "string": "object",
    "bool": "bool",
} | {f"{sign}int{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
# (pattern in a message of the runtime, what the user can do)
_HINTS = (
    ("IR version", "use a newer onnxruntime, or save the model with a lower ir_version"),
    ("is till opset|under development", "use a newer onnxruntime, or convert the model to an older opset"),
    ("not a registered function/op|No Op registered", "the model needs an operator library this runtime lacks"),
    ("Could not find an implementation", "no kernel for this node on the chosen providers and data types"),
    ("[Ee]xternal data|external_data", "keep the model's external data file beside the model"),
    ("Domain already set", "two operator libraries define the same domain"),
    ("Protobuf parsing failed", "give a file in ONNX format"),
)


def version() -> str:
    """Name and version."""
    return f"onnxruntime {onnxruntime.__version__}"


def session(
    model: ModelSource,
    *,
    threads: int | None = None,
    device: Device = "auto",
    providers: Sequence[str] | None = None,
    library: bool = True,
    custom_ops: Sequence[str | PathLike[str]] = (),
    optimization: Optimization = "all",
    lowering: bool = True,
    sampling: Sampling = "weights",
    profile: str | None = None,
) -> "onnxruntime.InferenceSession":
    """Open a plain `onnxruntime.InferenceSession` with nmtool's operators registered.

    Args:
        model: path, ModelProto or ir.Model. Give a model above 2 GB as a path: anything else is copied to a
            temporary file.
        threads: threads inside an operator; None: the runtime's choice, one per core.
        device: "cuda" is CUDA or an error, "auto" CUDA where it is available. Nodes without a CUDA kernel run on the
            CPU; the operators of nmtool's library have one where it was built with CUDA.
        providers: instead of a device, execution providers in order of preference; "cuda" is short for
            "CUDAExecutionProvider".
        library: register nmtool's operator library. Without it the same model runs on its bodies in standard operators.
        custom_ops: further operator libraries to register, for operators of the model's own.
        optimization: graph optimisation level.
        lowering: rewrite a noisy model for this machine (docs/performance.md): on the CPU, with the library and all
            optimisations.
        sampling: what a lowered model draws noise for. "weights": each weight, the specified values. "auto": the
            outputs of a product where that is cheaper: the distribution of one noisy matrix for all samples of a run,
            but other values. "outputs": the same wherever it is possible.
        profile: prefix of the profile (JSON) that the runtime writes when the session's `end_profiling` is called.

    Raises:
        ModelError: the runtime rejects the model.
        SetupError: a provider is not available or cannot be used, or an operator library cannot be loaded.
        UsageError: both a device and providers.
    """
    if device != "auto" and providers is not None:
        raise UsageError(f"device {device!r} and providers are two answers to one question", hint="give one of them")
    if device == "cuda":
        require_cuda()
    own = _library() if library else None
    libraries = ([own] if own else []) + [Path(path).absolute() for path in custom_ops]
    chosen = _providers({"auto": providers, "cpu": [_CPU], "cuda": [_CUDA, _CPU]}[device])
    options = _session_options(libraries, optimization)
    if threads is not None:
        options.intra_op_num_threads = threads
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    can_lower = own is not None and chosen == [_CPU] and optimization == "all"
    if sampling != "weights" and not (lowering and can_lower):
        logger.warning("noise is drawn for each weight: other sampling needs lowering, on the CPU, with the library")
    opened = _open_lowered(model, sampling, libraries, options) if lowering and can_lower else None
    opened = opened or _open(model, options, chosen)
    if device == "cuda" and _CUDA not in opened.get_providers():  # it falls back to the CPU
        raise SetupError(f"{version()} cannot use its {_CUDA}", hint="check the driver, CUDA and cuDNN")
    return opened


def _session_options(libraries: Sequence[Path], optimization: Optimization) -> "onnxruntime.SessionOptions":
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.graph_optimization_level = _LEVELS[optimization]
    for path in libraries:
        try:
            options.register_custom_ops_library(str(path))
        except Exception as error:  # the runtime's exceptions have no other common base
            raise SetupError(f"{version()} cannot load {path}: {error}") from error
    return options


def _open(
    model: ModelSource, options: "onnxruntime.SessionOptions", providers: Sequence[str]
) -> "onnxruntime.InferenceSession":
    with path_or_bytes(model) as source:
        try:
            return onnxruntime.InferenceSession(source, options, providers=providers)
        except Exception as error:  # as above
            name = f"{source}: " if isinstance(source, str) else ""
            raise _model_error(f"{name}{version()} cannot load the model", error) from error


def _open_lowered(
    model: ModelSource, sampling: Sampling, libraries: Sequence[Path], options: "onnxruntime.SessionOptions"
) -> "onnxruntime.InferenceSession | None":
    """A session of the lowered model, or None where the model stays as it is."""
    try:
        known = metadata(model)
        made_for = provenance.compiled_for(known)
        if made_for is None and provenance.from_metadata(known) is None:
            return None
        noisy = load_model(model)
    except ModelError:
        return None  # what is wrong with a model is the runtime's to say
    if made_for is not None:
        if made_for != machine():
            raise ModelError(
                f"the model is compiled for {made_for}; this is {machine()}",
                hint="compile the noisy model here: `nmtool compile`",
            )
        return None
    try:
        lowered = lowered_for_cpu(noisy, sampling, libraries)
        return _open(lowered.model, options, [_CPU]) if lowered is not None and lowered.changed else None
    except ModelError as error:
        logger.warning(f"noise runs in its portable form, slower: {error.message}")
        return None


def machine() -> str:
    """What a lowered model is for: this version of the runtime, on a processor with these instructions."""
    return f"{version()} with {simd_levels()[-1]}"


def lowered_for_cpu(noisy: ir.Model, sampling: Sampling, libraries: Sequence[Path]) -> Lowered | None:
    """The model rewritten for `machine`; None where it is not noisy.

    Args:
        noisy: the model; it is used up.
        sampling: what noise is drawn for.
        libraries: operator libraries that the model needs, nmtool's among them.

    Raises:
        ModelError: the runtime rejects the model.
        SetupError: an operator library cannot be loaded.
    """
    if provenance.read(noisy) is None:
        return None
    return lower(noisy, sampling, functools.partial(_laid_out, libraries=libraries))


def _laid_out(model: ir.Model, libraries: Sequence[Path]) -> ir.Model:
    """What the runtime makes of a model, with all its optimisations for this machine."""
    options = _session_options(libraries, "all")
    options.add_session_config_entry("session.disable_prepacking", "1")  # the session is not going to run
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "weights")
    with TemporaryDirectory(prefix="nmtool-") as folder:
        file = Path(folder) / "model.onnx"
        options.optimized_model_filepath = str(file)
        _open(model, options, [_CPU])
        laid_out = ir.load(file)
        ir.external_data.load_to_model(laid_out)
    return laid_out


def load(model: ModelSource, *, library: bool = True, **options: Any) -> "OrtRunner":
    """Load a model as a Runner; the options are those of `session`."""
    return OrtRunner(session(model, library=library, **options), library and _library() is not None)


class OrtRunner:
    """An ONNX Runtime session as a Runner.

    Attributes:
        session: the session itself.
    """

    def __init__(self, session: "onnxruntime.InferenceSession", library: bool) -> None:
        self.session = session
        self.inputs: Mapping[str, Port] = {
            arg.name: Port(arg.name, _dtype(arg.type), _shape(arg), optional)
            for args, optional in ((session.get_inputs(), False), (session.get_overridable_initializers(), True))
            for arg in args
        }
        self.outputs: Sequence[str] = [output.name for output in session.get_outputs()]
        self.metadata: Mapping[str, str] = session.get_modelmeta().custom_metadata_map
        self.description = version()
        self.library = library
        self._run_options = onnxruntime.RunOptions()
        self._run_options.log_severity_level = _FATAL_ONLY

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """See Runner.run."""
        if not outputs:  # the runtime would take that for all
            return []
        try:
            results: list[Any] = self.session.run(list(outputs), dict(feeds), self._run_options)
        except Exception as error:  # as above
            raise _model_error("onnxruntime failed to run the model", error) from error
        for name, result in zip(outputs, results, strict=True):
            if not isinstance(result, np.ndarray):
                raise ModelError(f"output {name!r} is not a tensor", hint="choose another output")
        return results


def _library() -> Path | None:
    try:
        return library_path()
    except SetupError as error:
        _warn_once(f"noise runs on standard operators, slower: {error.message} ({error.hint})")
        return None


@functools.cache
def _warn_once(message: str) -> None:
    logger.warning(message)


def available_providers() -> list[str]:
    """Execution providers of this build of the runtime, in its order of preference."""
    return list(onnxruntime.get_available_providers())


def require_cuda() -> None:
    """Check that this build of the runtime has CUDA.

    Raises:
        SetupError: it has not.
    """
    if _CUDA not in available_providers():
        hint = "pip uninstall onnxruntime && pip install 'nmtool[gpu]'"
        raise SetupError(f"{version()} has no {_CUDA}", hint=hint)


def _providers(wanted: Sequence[str] | None) -> list[str]:
    available = available_providers()
    if wanted is None:
        return [provider for provider in (_CUDA, _CPU) if provider in available]
    suffix = "executionprovider"
    by_short_name = {provider.lower().removesuffix(suffix): provider for provider in available}
    chosen = []
    for name in wanted:
        provider = by_short_name.get(name.lower().removesuffix(suffix))
        if provider is None:
            raise SetupError(f"no execution provider is named {name!r}", hint="available: " + ", ".join(by_short_name))
        chosen.append(provider)
    return chosen


def _dtype(onnx_type: str) -> np.dtype[Any] | None:
    match = re.fullmatch(r"tensor\((\w+)\)", onnx_type)
    return np.dtype(_DTYPES[match[1]]) if match and match[1] in _DTYPES else None


def _shape(arg: Any) -> tuple[int | None, ...] | None:
    """The shape of a session's input; the runtime reports a scalar and a tensor of unknown rank alike, as []."""
    return tuple(dim if isinstance(dim, int) and dim >= 0 else None for dim in arg.shape) or None


def _model_error(what: str, error: Exception) -> ModelError:
    without_code = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", str(error))
    reason = re.sub(r"/onnxruntime_src/\S+:\d+ .*?\) ", "", without_code).strip()  # C++ file, line, signature
    hint = next((hint for pattern, hint in _HINTS if re.search(pattern, reason)), None)
    return ModelError(f"{what}: {reason}", hint)
