"""Engines that cannot share nmtool's environment: each is in a virtual environment of its own, and runs in a process.

onnxruntime-training overwrites the files of onnxruntime, and needs an old onnx.
"""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from nmtool.errors import SetupError, UsageError

RECORD = "nmtool-engine.json"
"""File of an environment that is complete: the versions of its packages."""


@dataclass(frozen=True)
class Engine:
    """What an environment holds.

    Attributes:
        name: of the engine.
        summary: what it is for.
        requirements: packages, as pip takes them.
        probe: a statement that fails where it does not work.
        platform: system and machine that it is published for.
        pythons: versions of Python, likewise.
    """

    name: str
    summary: str
    requirements: tuple[str, ...]
    probe: str
    platform: str
    pythons: tuple[str, ...]


_ENGINES = (
    Engine(
        name="ort-training",
        summary="onnxruntime-training, for distill --engine ort",
        requirements=("onnxruntime-training==1.19.2", "onnx==1.17.0", "torch>=2.4", "numpy>=1.26"),
        probe="import onnxruntime.training.api, onnxruntime.training.artifacts",
        platform="Linux x86_64",
        pythons=("3.9", "3.10", "3.11"),
    ),
)
ENGINES = {engine.name: engine for engine in _ENGINES}


@dataclass(frozen=True)
class Installation:
    """An engine that is installed.

    Attributes:
        python: interpreter of its environment.
        versions: of its packages, by name.
    """

    python: Path
    versions: dict[str, str]


def home() -> Path:
    """The folder of the environments: NMTOOL_ENGINES, else in the user's folder for data."""
    if given := os.environ.get("NMTOOL_ENGINES"):
        return Path(given).absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/nmtool/engines"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "nmtool/engines"
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local/share")) / "nmtool/engines"


def find(name: str) -> Engine:
    """An engine by name.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in ENGINES:
        raise UsageError(f"no engine is named {name!r}", hint=f"there are: {', '.join(ENGINES)}")
    return ENGINES[name]


def interpreter(environment: Path) -> Path:
    """The interpreter of a virtual environment."""
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def installation(name: str) -> Installation:
    """Where an engine is installed.

    Raises:
        SetupError: it is not, or its environment is damaged.
    """
    environment = home() / name
    try:
        record = json.loads((environment / RECORD).read_text(encoding="utf-8"))
        found = Installation(interpreter(environment), {str(k): str(v) for k, v in record["versions"].items()})
    except FileNotFoundError as error:
        raise SetupError(f"the engine {name} is not installed", hint=f"nmtool engine install {name}") from error
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        hint = f"nmtool engine install {name} --force"
        raise SetupError(f"the environment of the engine {name} is damaged: {environment}", hint=hint) from error
    if not found.python.exists():  # a link to a Python that is gone
        hint = f"nmtool engine install {name} --force"
        raise SetupError(f"the engine {name} has lost its Python: {found.python}", hint=hint)
    return found
