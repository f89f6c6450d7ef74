"""The shape of the repository: file sizes, layers, lazy names, and pages of commands."""

import ast
import re
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


# From the bottom up: a module may import what its own line holds and the lines above it.
LAYERS = (
    ("nmtool.errors", "nmtool.recipes", "nmtool.table"),
    ("nmtool.noise",),
    ("nmtool.hardware",),
    ("nmtool.ops",),
    (
        "nmtool.provenance",
        "nmtool.soundness",
        "nmtool.model",
        "nmtool.library",
        "nmtool.atomic",
        "nmtool.plugins",
        "nmtool.engines",
    ),
    ("nmtool.executors",),
    ("nmtool.jsonl", "nmtool.analysis"),
    ("nmtool.payloads", "nmtool.reimport", "nmtool.clipping"),
    ("nmtool.passes",),
    ("nmtool.backends", "nmtool.data", "nmtool.metrics", "nmtool.probe", "nmtool.interpreter"),
    ("nmtool.difference", "nmtool.bisection"),
    ("nmtool.training",),
    ("nmtool.verbs", "nmtool.checks"),
    ("nmtool.cli",),
)


def layer_of(module):
    for number, names in enumerate(LAYERS):
        if any(module == name or module.startswith(f"{name}.") for name in names):
            return number
    return None


@pytest.mark.parametrize(
    "path", [path for path in CODE if path.parts[len(ROOT.parts)] in ("nmtool", "passes") and path.suffix == ".py"]
)
def test_imports_go_down(path):
    relative = path.relative_to(ROOT).with_suffix("")
    module = ".".join(relative.parts if relative.parts[0] == "nmtool" else ("nmtool", *relative.parts))
    own = layer_of(module.removesuffix(".__init__"))
    if own is None:
        assert module in ("nmtool.__init__", "nmtool.__main__", "nmtool._lib.__init__"), f"{module} has no layer"
        return
    for node in ast.walk(ast.parse(path.read_text())):
        targets = []
        if isinstance(node, ast.ImportFrom):
            targets = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        for target in targets:
            layer = layer_of(target)
            assert layer is None or layer <= own, f"{module} imports {target}"


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
