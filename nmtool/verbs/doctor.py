"""What is installed, what works, and the command that gets what is missing."""

import ctypes
import importlib.metadata
import os
import platform
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from nmtool.errors import NmtoolError, SetupError
from nmtool.library import library_path, simd_levels

REQUIRED = ("numpy", "onnx", "onnx-ir", "typer", "rich")
RUNTIMES = ("onnxruntime", "onnxruntime-gpu")  # one import name: whichever is installed serves


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes:
        name: what was looked at.
        status: "ok"; "missing" (required, or broken); "optional" (not there, and not needed for the main job).
        detail: version, path or reason.
        hint: the command that gets it, if it is not there.
    """

    name: str
    status: Literal["ok", "missing", "optional"]
    detail: str
    hint: str | None = None


@dataclass(frozen=True)
class Diagnosis:
    """All findings."""

    checks: tuple[Check, ...]

    @property
    def healthy(self) -> bool:
        """Nothing that is required is missing."""
        return all(check.status != "missing" for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """The findings as JSON-serializable data."""
        return {"healthy": self.healthy, "checks": [asdict(check) for check in self.checks]}


def doctor() -> Diagnosis:
    """Look at the environment; never raises because of what it finds."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Diagnosis(
        (
            _package("nmtool"),
            Check("python", "ok", platform.python_version()),
            Check("platform", "ok", f"{platform.system()} {platform.machine()}, {cores} cores"),
            *map(_package, REQUIRED),
            *_runtime(),
            *_library(),
            *_gpu_kernels(),
            _noise(),
            *_backends(),
            *_engines(),
            *_extras(),
        )
    )


def versions() -> dict[str, str]:
    """What `nmtool --version` prints: the tool, its library, and the packages that decide what it computes."""
    checks = (_package("nmtool"), _package("onnx"), *_runtime(), *_library())
    return {check.name: check.detail for check in checks}


def _package(name: str) -> Check:
    if version := _version(name):
        return Check(name, "ok", version)
    return Check(name, "missing", "not installed", f"pip install {name}")


def _runtime() -> Iterator[Check]:
    found = [package for package in RUNTIMES if _version(package)]
    if not found:
        yield Check("onnxruntime", "missing", "not installed", "pip install 'nmtool[cpu]'")
        return
    from nmtool.backends.ort import available_providers

    yield from map(_package, found)
    yield Check("providers", "ok", ", ".join(available_providers()))


def _library() -> Iterator[Check]:
    try:
        path = library_path()
        library = ctypes.CDLL(str(path))
        yield Check("library", "ok", f"{path} (ORT API {library.nmtool_ort_api_version()})")
        yield Check("simd", "ok", ", ".join(simd_levels()))
    except (SetupError, OSError, AttributeError) as error:
        hint = error.hint if isinstance(error, SetupError) else "pip install --force-reinstall nmtool"
        yield Check("library", "missing", str(error), hint)


def _gpu_kernels() -> Iterator[Check]:
    """The CUDA kernels of the library; nothing where there is no library."""
    try:
        library = ctypes.CDLL(str(library_path()))
        functions = library.nmtool_cuda_architectures, library.nmtool_cuda_error
    except (SetupError, OSError, AttributeError):
        return
    for function in functions:
        function.restype = ctypes.c_char_p
    code, error = (function() for function in functions)
    if not code:
        hint = "install nvcc (CUDA's compiler), then pip install --force-reinstall nmtool"
        yield Check("gpu kernels", "optional", "the library was built without CUDA", hint)
    elif error:
        detail = f"{code.decode()}, but not on this machine: {error.decode()}"
        yield Check("gpu kernels", "optional", detail, "needs an NVIDIA GPU and its driver")
    else:
        yield Check("gpu kernels", "ok", code.decode())


def _noise() -> Check:
    """Draw noise in a real session, by the library and by the standard operators, and compare."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    from nmtool.verbs.inject import inject
    from nmtool.verbs.run import run

    size = 64
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="probe")
    shape = {"x": [size, size], "y": [size, size]}
    ports = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in shape.items()}
    weights = numpy_helper.from_array(np.linspace(-1, 1, size * size, dtype=np.float32).reshape(size, size), "w")
    graph = helper.make_graph([node], "probe", [ports["x"]], [ports["y"]], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    try:
        noisy = inject(model).model
        by_library, by_standard_ops = (
            run(noisy, {"x": np.eye(size, dtype=np.float32)}, library=library)["y"] for library in (True, False)
        )
    except NmtoolError as error:
        return Check("noise", "missing", error.message, error.hint)
    difference = float(np.abs(by_library - by_standard_ops).max())
    if difference > 1e-5:
        return Check("noise", "missing", f"library and standard operators differ by {difference}", "please report this")
    return Check("noise", "ok", "library and standard operators agree in a session")


def _backends() -> Iterator[Check]:
    from nmtool.backends import availability, names

    for name in names():
        state = availability(name)
        if state.version:
            yield Check(f"backend {name}", "ok", state.version)
        else:
            yield Check(f"backend {name}", "optional", state.reason or "", state.hint)


def _engines() -> Iterator[Check]:
    from nmtool.engines import ENGINES, installation

    for name in ENGINES:
        try:
            found = installation(name)
            yield Check(f"engine {name}", "ok", str(found.python))
        except SetupError as error:
            yield Check(f"engine {name}", "optional", error.message, error.hint)


def _extras() -> Iterator[Check]:
    """Every package of every extra for users that is not installed and no backend, from nmtool's own metadata."""
    from nmtool.backends import BACKENDS

    for requirement in importlib.metadata.requires("nmtool") or ():
        match = re.match(r"([\w.-]+).*extra == ['\"](\w+)['\"]", requirement)
        if match is None or match[2] == "dev" or match[1] in ("nmtool", *RUNTIMES, *BACKENDS) or _version(match[1]):
            continue
        yield Check(match[1], "optional", f"not installed, part of [{match[2]}]", f"pip install 'nmtool[{match[2]}]'")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
