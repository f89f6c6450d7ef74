"""`nmtool engine install`: a virtual environment for an engine that nmtool cannot import."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from nmtool.engines import RECORD, Engine, Installation, find, home, installation, interpreter
from nmtool.errors import SetupError, UsageError

_DESCRIBE = """
import json, platform, sys
print(json.dumps(["%d.%d" % sys.version_info[:2], platform.system() + " " + platform.machine()]))
"""
_VERSIONS = """
import importlib.metadata, json
print(json.dumps({each.metadata["Name"]: each.version for each in importlib.metadata.distributions()}))
"""
_NO_NETWORK = re.compile(
    r"NewConnectionError|Name or service not known|Failed to establish|Max retries|ProxyError|SSLError"
)


def install_engine(
    name: str,
    *,
    python: str | os.PathLike[str] | None = None,
    force: bool = False,
    report: Callable[[str], None] | None = None,
) -> Installation:
    """Make the environment of an engine, in `nmtool.engines.home()`; it is there whole or not at all.

    Args:
        name: the engine, `ort-training`.
        python: interpreter to make it with; None: the one that runs nmtool.
        force: make it anew where it is installed.
        report: called with what is being done.

    Raises:
        UsageError: no such engine, or it is installed and `force` is not given.
        SetupError: this Python or machine has no packages of it, there is no network, or what was installed fails.
    """
    engine, tell = find(name), report or (lambda what: None)
    target = home() / name
    if (target / RECORD).exists() and not force:
        raise UsageError(f"the engine {name} is installed: {target}", hint="make it anew with --force")
    base = Path(python) if python is not None else Path(sys.executable)
    _require_suitable(engine, base)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=target.parent, prefix=".nmtool-") as folder:
            staged = Path(folder) / name
            tell(f"making a virtual environment in {target}")
            _run([str(base), "-m", "venv", str(staged)], engine, "the virtual environment cannot be made")
            tell(f"installing {', '.join(engine.requirements)}: about 2 GB")
            isolated = [str(interpreter(staged)), "-I"]
            pip = [*isolated, "-m", "pip", "install", "--disable-pip-version-check", "--no-cache-dir"]
            _run([*pip, *engine.requirements], engine, "its packages cannot be installed")
            tell("trying it")
            _run([*isolated, "-c", engine.probe], engine, "it does not work")
            versions = json.loads(_run([*isolated, "-c", _VERSIONS], engine, "it does not work"))
            (staged / RECORD).write_text(json.dumps({"versions": versions}), encoding="utf-8")
            if target.exists():
                target.rename(Path(folder) / "old")
            staged.rename(target)
    except OSError as error:
        raise SetupError(
            f"the environment of the engine {name} cannot be written: {error.filename or target}: {error.strerror}",
            hint="set NMTOOL_ENGINES to a folder that can be written to, with 2 GB to spare",
        ) from error
    return installation(name)


def _require_suitable(engine: Engine, python: Path) -> None:
    try:
        process = subprocess.run([str(python), "-I", "-c", _DESCRIBE], capture_output=True, text=True, check=True)
        version, platform = json.loads(process.stdout)
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        raise SetupError(f"not a Python interpreter: {python}", hint="name one with --python") from error
    if platform != engine.platform:
        raise SetupError(
            f"the engine {engine.name} is published for {engine.platform} only, this is {platform}",
            hint="use --engine torch",
        )
    if version not in engine.pythons:
        raise SetupError(
            f"the engine {engine.name} has no packages for Python {version}: {python}",
            hint=f"name a Python {' or '.join(engine.pythons[::-1])} with --python",
        )


def _run(command: Sequence[str], engine: Engine, problem: str) -> str:
    """Run a step of the installation; returns what it printed."""
    process = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if process.returncode == 0:
        return process.stdout
    said = f"{process.stdout}\n{process.stderr}"
    if _NO_NETWORK.search(said):
        raise SetupError(
            f"the engine {engine.name} cannot be installed: no package index can be reached",
            hint="check the network, or point PIP_INDEX_URL to an index",
        )
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = (
        [line for line in lines if line.lower().startswith("error")] or lines[-1:] or [f"code {process.returncode}"]
    )
    raise SetupError(
        f"the engine {engine.name} cannot be installed: {problem}: {errors[-1]}",
        hint="python3-venv and 2 GB of space are needed; pip's settings (PIP_INDEX_URL, …) apply",
    )
