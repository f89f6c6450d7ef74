"""The runtimes a model can be run on: one module each, and those that other packages bring as entry points."""

import importlib
import importlib.metadata
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from nmtool.backends.runner import Array as Array
from nmtool.backends.runner import Backend as Backend
from nmtool.backends.runner import Port as Port
from nmtool.backends.runner import Runner as Runner
from nmtool.errors import SetupError, UsageError
from nmtool.model import ModelSource

ENTRY_POINTS = "nmtool.backends"
"""The group of entry points by which other packages add backends."""

# name -> module with `version()` and `load()`; imported on use, so a missing runtime only stops its users
BACKENDS: dict[str, str] = {
    "onnxruntime": "nmtool.backends.ort",
    "onnxruntime-cuda": "nmtool.backends.ort_cuda",
    "onnxruntime-node": "nmtool.backends.node",
    "onnxruntime-web": "nmtool.backends.web",
    "openvino": "nmtool.backends.openvino",
    "reference": "nmtool.backends.reference",
    "torch": "nmtool.backends.torch",
    "tract": "nmtool.backends.tract",
}


@dataclass(frozen=True)
class Availability:
    """Whether a backend can be used here.

    Attributes:
        version: name and version of the runtime, or None when it is absent.
        reason: why it is absent.
        hint: the command that installs it.
    """

    version: str | None
    reason: str | None = None
    hint: str | None = None


def names() -> list[str]:
    """All backends, installed or not: nmtool's own, then those of other packages."""
    return [*BACKENDS, *sorted(_entry_points())]


def find(name: str) -> Backend:
    """A backend by name.

    Raises:
        UsageError: no such backend.
        SetupError: it cannot be imported.
    """
    if name in BACKENDS:
        return cast(Backend, importlib.import_module(BACKENDS[name]))
    points = _entry_points()
    if name not in points:
        raise UsageError(f"no backend is named {name!r}", hint="choose one of: " + ", ".join(names()))
    try:
        return cast(Backend, points[name].load())
    except Exception as error:  # importing runs another package's code
        raise SetupError(f"backend {name!r} cannot be imported: {error}", hint=f"it is {points[name].value}") from error


def availability(name: str) -> Availability:
    """Whether a backend is installed: looked up, without loading a model.

    Raises:
        UsageError: no such backend.
    """
    try:
        return Availability(find(name).version())
    except SetupError as error:
        return Availability(None, error.message, error.hint)
    except UsageError:
        raise
    except Exception as error:  # another package's code
        return Availability(None, f"its version cannot be told: {error}")


def takes(name: str, option: str) -> bool:
    """Whether the backend's `load` has this option.

    Raises:
        UsageError: no such backend.
        SetupError: it cannot be imported.
    """
    parameters = inspect.signature(find(name).load).parameters
    return option in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())


def load(model: ModelSource, backend: str = "onnxruntime", **options: Any) -> Runner:
    """Load a model on a backend.

    Args:
        model: path of an .onnx file, ModelProto or ir.Model.
        backend: one of `names()`.
        options: of the backend's own `load`.

    Raises:
        UsageError: no such backend, or it has no such option.
        ModelError: the backend rejects the model.
        SetupError: the backend is not installed.
    """
    for option in options:
        if not takes(backend, option):
            raise UsageError(f"backend {backend!r} has no option {option!r}", hint="docs/backends.md lists them")
    return find(backend).load(model, **options)


def _entry_points() -> Mapping[str, importlib.metadata.EntryPoint]:
    """Entry points by name; nmtool's own backends cannot be replaced."""
    found = importlib.metadata.entry_points(group=ENTRY_POINTS)
    return {point.name: point for point in found if point.name not in BACKENDS}
