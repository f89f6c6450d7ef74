"""What is installed, what works, and the command that gets what is missing."""

import ctypes
import importlib.metadata
import os
import platform
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from nmtool.errors import NmtoolError
from nmtool.library import library_path

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
            Check("nmtool", "ok", installed("nmtool") or "not installed"),
            Check("python", "ok", platform.python_version()),
            Check("platform", "ok", f"{platform.system()} {platform.machine()}, {cores} cores"),
            *(_required(package) for package in REQUIRED),
            *_runtime(),
            *_library(),
            *_extras(),
        )
    )


def installed(package: str) -> str | None:
    """Version of an installed package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def ort_api_level() -> int:
    """The ONNX Runtime API level that the operator library asks for: any runtime that has it can load the library.

    Raises:
        SetupError: there is no library.
    """
    return int(_call(ctypes.c_uint32, "nmtool_ort_api_version"))


def _required(package: str) -> Check:
    version = installed(package)
    return (
        Check(package, "ok", version)
        if version
        else Check(package, "missing", "not installed", f"pip install {package}")
    )


def _runtime() -> Iterator[Check]:
    found = {package: version for package in RUNTIMES if (version := installed(package))}
    if not found:
        yield Check("onnxruntime", "missing", "not installed", "pip install 'nmtool[cpu]'")
        return
    from nmtool.backends.ort import providers

    for package, version in found.items():
        yield Check(package, "ok", version)
    yield Check("providers", "ok", ", ".join(providers()))


def _library() -> Iterator[Check]:
    try:
        yield Check("library", "ok", f"{library_path()} (ORT API {ort_api_level()})")
        yield Check("simd", "ok", _call(ctypes.c_char_p, "nmtool_simd").decode())
        yield Check("noise", "ok", _try_library())
    except (NmtoolError, OSError, AttributeError) as error:
        yield Check("library", "missing", str(error), getattr(error, "hint", None))


def _extras() -> Iterator[Check]:
    """Every package of every extra that is not installed, from nmtool's own metadata."""
    for requirement in importlib.metadata.requires("nmtool") or ():
        match = re.match(r"([\w.-]+).*extra == ['\"](\w+)['\"]", requirement)
        if match and (package := match[1]) not in ("nmtool", *RUNTIMES) and not installed(package):
            yield Check(
                package, "optional", f"not installed, part of [{match[2]}]", f"pip install 'nmtool[{match[2]}]'"
            )
