"""Choosing a backend, and bringing an operator library, on the command line."""

import json

import pytest

from nmtool.library import library_path

DATA = ["--data", "digits.npz", "-n", "4"]


def test_an_operator_library_of_the_user(cli, workspace):
    library = library_path().read_bytes()
    assert library.count(b"\0nmtool\0") == 1
    (workspace / "mine.so").write_bytes(library.replace(b"\0nmtool\0", b"\0mytool\0"))  # the name of its domain
    for command in (["run", "digits.onnx"], ["sweep", "digits.onnx", "--eta", "0.1", "--trials", "1"]):
        assert cli(*command, *DATA, "--custom-ops", "mine.so").code == 0
        result = cli(*command, *DATA, "--custom-ops", "yours.so")
        assert result.code == 4
        assert "yours.so" in result.err
        result = cli(*command, *DATA, "--custom-ops", "mine.so", "--backend", "reference")
        assert result.code == 2
        assert "'reference' has no option 'custom_ops'" in result.err


@pytest.mark.parametrize("backend", ["openvino", "tract", "torch"])
def test_the_backends_that_pip_installs(cli, workspace, backend):
    pytest.importorskip(backend)
    command = ["run", "digits.onnx", *DATA, "--json"]
    (expected,) = json.loads(cli(*command).out)["outputs"]
    (actual,) = json.loads(cli(*command, "--backend", backend).out)["outputs"]
    for key, value in expected.items():
        assert actual[key] == (pytest.approx(value, rel=1e-4) if isinstance(value, float) else value)
    swept = cli("sweep", "digits.onnx", *DATA, "--eta", "0.1", "--trials", "1", "--backend", backend)
    assert (swept.code, "nmtool bake" in swept.err) == ((0, False) if backend == "torch" else (3, True))


def test_a_backend_that_is_absent_is_an_error_of_the_environment(cli, workspace, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    result = cli("run", "digits.onnx", *DATA, "--backend", "onnxruntime-node")
    assert result.code == 4
    assert "hint: install Node.js, then: npm install onnxruntime-node" in result.err
