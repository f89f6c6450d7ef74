"""Which backends there are: nmtool's own, those of other packages, and those that are absent."""

import importlib.metadata
import json
import sys

import numpy as np
import pytest

from build import model
from nmtool import backends
from nmtool.errors import SetupError, UsageError
from nmtool.verbs.run import run

RELU = model("g (float[N] x) => (float[N] y) { y = Relu(x) }")
X = np.array([-1, 2], np.float32)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a package with backends, as pip would; of docs/backends.md."""
    (tmp_path / "abacus_nmtool.py").write_text(
        "from nmtool.backends.compiled import CompiledRunner\n"
        "from nmtool.backends.engine import Engine\n"
        "\n"
        "def version():\n"
        "    return 'abacus 1.2'\n"
        "\n"
        "def load(model, *, beads=10):\n"
        "    return CompiledRunner(model, Engine(version(), build))\n"
        "\n"
        "def build(model):\n"
        "    names = [output.name for output in model.graph.outputs]\n"
        "    return lambda outputs, feeds: [feeds['x'].clip(0) for name in outputs]\n"
    )
    info = tmp_path / "abacus_nmtool-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: abacus-nmtool\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(
        "[nmtool.backends]\nabacus = abacus_nmtool\nbroken = abacus_nmtool_broken\ntorch = abacus_nmtool\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("abacus_nmtool", None)


def test_nmtools_own_backends_come_first():
    assert backends.names()[: len(backends.BACKENDS)] == list(backends.BACKENDS)


def test_unknown_backends_are_named():
    with pytest.raises(UsageError, match="abacus") as caught:
        backends.load("m.onnx", "abacus")
    assert "onnxruntime" in str(caught.value.hint)


def test_a_package_adds_a_backend(installed):
    assert {"abacus", "broken"} <= set(backends.names())
    assert backends.availability("abacus") == backends.Availability("abacus 1.2")
    np.testing.assert_array_equal(run(RELU, {"x": X}, backend="abacus", beads=7)["y"], [0, 2])


def test_a_package_replaces_no_backend(installed):
    assert backends.names().count("torch") == 1
    assert backends.find("torch").__name__ == "nmtool.backends.torch"


def test_a_package_that_cannot_be_imported_stops_nobody_else(installed, cli):
    with pytest.raises(SetupError, match="'broken' cannot be imported"):
        backends.load(RELU, "broken")
    listed = json.loads(cli("list", "backends", "--json").out)["backends"]
    assert listed["abacus"] == "abacus 1.2"
    assert listed["broken"].startswith("absent: backend 'broken' cannot be imported")


def test_options_that_a_backend_does_not_have_are_refused(installed):
    for backend in ("abacus", "reference"):
        with pytest.raises(UsageError, match=f"{backend}' has no option 'custom_ops'"):
            backends.load(RELU, backend, custom_ops=["mine.so"])
    assert backends.takes("onnxruntime", "threads")
    assert not backends.takes("reference", "threads")


def test_what_is_absent_says_how_to_get_it(monkeypatch, cli):
    def version(name: str) -> str:
        if name in ("openvino", "tract", "torch"):
            raise importlib.metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr("shutil.which", lambda name: None)
    for name in ("openvino", "tract", "torch"):
        missing = backends.Availability(None, f"{name} is not installed", f"pip install 'nmtool[{name}]'")
        assert backends.availability(name) == missing
        with pytest.raises(SetupError, match=f"{name} is not installed"):
            backends.load(RELU, name)
    for name in ("onnxruntime-node", "onnxruntime-web"):
        state = backends.availability(name)
        assert state.reason == "Node.js is not installed"
        assert f"npm install {name}" in str(state.hint)
    checks = {check["name"]: check for check in json.loads(cli("doctor", "--json").out)["checks"]}
    assert checks["backend tract"]["status"] == "optional"
    assert checks["backend tract"]["hint"] == "pip install 'nmtool[tract]'"
    assert checks["backend reference"]["status"] == "ok"


def test_without_onnxruntime_the_others_work(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "nmtool.backends.ort", raising=False)
    monkeypatch.delattr(backends, "ort", raising=False)
    for name in ("onnxruntime", "onnxruntime-cuda"):
        monkeypatch.delitem(sys.modules, "nmtool.backends.ort_cuda", raising=False)
        assert backends.availability(name).reason == "onnxruntime is not installed"
    assert backends.load(RELU, "reference").run(["y"], {"x": X})[0].tolist() == [0, 2]
