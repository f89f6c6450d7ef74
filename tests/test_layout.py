"""The shape of the repository: file sizes, lazy names, and what a wheel holds."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import nmtool

ROOT = Path(__file__).parents[1]
CODE = [
    path
    for folder in ("nmtool", "passes", "runtime", "examples", "benchmarks", "tests")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".cc", ".h", ".cu")
]


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_fits_in_a_head(path):
    assert len(path.read_text().splitlines()) <= 400


def test_lazy_names_are_the_declared_ones():
    declared = re.findall(r"from ([\w.]+) import (\w+) as \2\n", (ROOT / "nmtool/__init__.py").read_text())
    assert {name: module for module, name in declared} == nmtool._HOME
    for name in nmtool.__all__:
        assert getattr(nmtool, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        nmtool.nonsense  # noqa: B018


def test_every_command_has_a_page_and_every_page_a_command():
    from nmtool.cli.app import app

    pages = {path.stem for path in (ROOT / "docs/commands").glob("*.md")}
    assert pages == {command.name for command in app.registered_commands}


def test_wheel_holds_the_passes_and_the_library(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    sources = {f"nmtool/{path.relative_to(ROOT / 'nmtool')}" for path in (ROOT / "nmtool").rglob("*.py")}
    sources |= {f"nmtool/passes/{path.relative_to(ROOT / 'passes')}" for path in (ROOT / "passes").rglob("*.py")}
    assert sources <= set(names)
    assert "nmtool/py.typed" in names
    assert any(re.fullmatch(r"nmtool/_lib/(lib)?nmtool_ops\.(so|dylib|dll)", name) for name in names)
    assert not any(name.startswith(("tests/", "passes/", "runtime/")) for name in names)
