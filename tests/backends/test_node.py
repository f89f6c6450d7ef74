"""ONNX Runtime for JavaScript: finding it, and what happens when it fails. Runs where Node.js is."""

import shutil
import stat

import numpy as np
import pytest

from build import model
from nmtool import backends
from nmtool.backends import node
from nmtool.errors import ModelError, SetupError

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")

RELU = model("g (float[N] x) => (float[N] y) { y = Relu(x) }")
X = np.array([-1, 2], np.float32)
FAKE = """
let runs = 0;
class Tensor { constructor(type, data, dims) { Object.assign(this, { type, data, dims }); } }
const run = async (feeds) => { %s; return { y: feeds.x }; };
module.exports = { env: { versions: { node: "0.1" } }, Tensor, InferenceSession: { create: async () => ({ run }) } };
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Install an onnxruntime-node of the test's own into the current directory."""

    def install(on_run: str) -> None:
        folder = tmp_path / "node_modules/onnxruntime-node"
        folder.mkdir(parents=True)
        (folder / "index.js").write_text(FAKE % on_run)

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NODE_PATH", raising=False)
    return install


def test_a_package_in_the_current_directory_is_found(package):
    package("console.log('not a reply')")
    assert backends.availability("onnxruntime-node").version == "onnxruntime-node 0.1"
    runner = backends.load(RELU, "onnxruntime-node")
    np.testing.assert_array_equal(runner.run(["y"], {"x": X})[0], X)


def test_a_package_in_node_path_is_found(package, tmp_path, monkeypatch):
    package("")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "node_modules").rename(tmp_path / "packages")
    monkeypatch.setenv("NODE_PATH", str(tmp_path / "packages"))
    assert backends.availability("onnxruntime-node").version == "onnxruntime-node 0.1"


def test_a_package_that_is_not_there(package):
    with pytest.raises(SetupError, match="onnxruntime-node is not installed") as caught:
        node.version()
    assert str(caught.value.hint).startswith("npm install onnxruntime-node")


def test_a_package_that_does_not_load(package, tmp_path):
    package("")
    (tmp_path / "node_modules/onnxruntime-node/index.js").write_text("throw new Error('no binary for this system')")
    assert backends.availability("onnxruntime-node").reason == "no binary for this system"


@pytest.mark.parametrize(
    ("on_run", "reason"),
    [
        ("throw new Error('no kernel')", "no kernel"),
        ("process.exit(3)", "its process ended with code 3"),
        ("process.kill(process.pid, 'SIGKILL')", "its process ended with code -9"),
        ("while (true);", "no answer within 5 s"),
        ("return { y: { type: 'string', data: ['a'], dims: [1] } }", "output 'y' has the type string"),
    ],
)
def test_failures_are_model_errors(package, on_run, reason):
    package(on_run)
    runner = backends.load(RELU, "onnxruntime-node", timeout=5)
    with pytest.raises(ModelError, match=f"onnxruntime-node 0.1 failed to run the model: .*{reason}"):
        runner.run(["y"], {"x": X})


def test_a_node_that_cannot_run_the_worker(package, tmp_path, monkeypatch):
    old = tmp_path / "node"
    old.write_text("#!/bin/sh\necho SyntaxError >&2\nexit 1\n")
    old.chmod(old.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(node.shutil, "which", lambda name: str(old))
    with pytest.raises(SetupError, match=r"Node\.js cannot run onnxruntime-node: .*SyntaxError"):
        node.version()
