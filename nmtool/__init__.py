"""nmtool: analog noise for ONNX models. Every verb of the command line is a function here, with the same defaults."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nmtool.backends.ort import session as session
    from nmtool.interpreter import to_torch as to_torch
    from nmtool.library import library_path as library_path
    from nmtool.model import load as load
    from nmtool.model import save as save
    from nmtool.verbs.analyze.experiment import analyze as analyze
    from nmtool.verbs.bake import bake as bake
    from nmtool.verbs.calibrate import calibrate as calibrate
    from nmtool.verbs.calibrate_bn import calibrate_bn as calibrate_bn
    from nmtool.verbs.check import check as check
    from nmtool.verbs.clip import clip as clip
    from nmtool.verbs.compile import compile as compile
    from nmtool.verbs.compile import explain_session as explain_session
    from nmtool.verbs.distill import distill as distill
    from nmtool.verbs.doctor import doctor as doctor
    from nmtool.verbs.engine import install_engine as install_engine
    from nmtool.verbs.inject import inject as inject
    from nmtool.verbs.report.page import report as report
    from nmtool.verbs.run import run as run
    from nmtool.verbs.strip import strip as strip
    from nmtool.verbs.sweep.experiment import sweep as sweep

    __version__: str

# Where each public name lives. Imported on first use (PEP 562), so that `import nmtool` costs nothing.
_HOME = {
    "analyze": "nmtool.verbs.analyze.experiment",
    "bake": "nmtool.verbs.bake",
    "calibrate": "nmtool.verbs.calibrate",
    "calibrate_bn": "nmtool.verbs.calibrate_bn",
    "check": "nmtool.verbs.check",
    "clip": "nmtool.verbs.clip",
    "compile": "nmtool.verbs.compile",
    "distill": "nmtool.verbs.distill",
    "doctor": "nmtool.verbs.doctor",
    "explain_session": "nmtool.verbs.compile",
    "inject": "nmtool.verbs.inject",
    "install_engine": "nmtool.verbs.engine",
    "library_path": "nmtool.library",
    "load": "nmtool.model",
    "report": "nmtool.verbs.report.page",
    "run": "nmtool.verbs.run",
    "save": "nmtool.model",
    "session": "nmtool.backends.ort",
    "strip": "nmtool.verbs.strip",
    "sweep": "nmtool.verbs.sweep.experiment",
    "to_torch": "nmtool.interpreter",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # which loads the email package, and with that half as much again

        return version("nmtool")
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'nmtool' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
