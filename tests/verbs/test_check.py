"""`nmtool check` as a whole: which rules run, what it exits with, what it writes."""

import json
from xml.etree import ElementTree

import pytest

import nmtool
from nmtool.backends import availability
from nmtool.errors import UsageError

SOME = ["--select", "NM0", "--select", "NM1", "--select", "NM204", "--backend", "onnxruntime"]


def test_a_good_model_passes(cli, workspace):
    result = cli("check", "noisy.onnx", "--against", "digits.onnx", "--data", "digits.npz", *SOME)
    assert result.code == 0
    assert "passed   NM102" in result.out
    assert result.out.splitlines()[-1] == "12 passed"


def test_an_error_exits_with_one_and_says_what_to_do(cli, workspace):
    result = cli("check", "noisy.onnx", "--against", "digits-bn.onnx", "--select", "NM1")
    assert result.code == 1
    assert "node 'conv1::bn' is gone" in result.out or "is not in the original" in result.out or "is gone" in result.out
    assert "NM102: start from the original again" in result.out


def test_warnings_fail_only_when_strict(cli, workspace):
    arguments = ("check", "noisy.onnx", "--against", "digits-bn.onnx", "--select", "NM104")
    assert cli(*arguments).code == 0
    assert cli(*arguments, "--strict").code == 1


def test_json_on_stdout_or_in_a_file(cli, workspace):
    document = json.loads(cli("check", "digits.onnx", "--select", "NM001", "--json").out)
    assert document["schema"] == "nmtool.check/1"
    assert document["rules"][0]["status"] == "passed"
    result = cli("check", "digits.onnx", "--select", "NM001", "--json", "check.json")
    assert "passed" in result.out
    written = json.loads((workspace / "check.json").read_text())
    assert written.pop("command_line") == document.pop("command_line") + " check.json"
    assert written == document
    assert cli("check", "digits.onnx", "--select", "NM001", "--json", "check.json").code == 2
    result = cli("check", "digits.onnx", "noisy.onnx")
    assert result.code == 2
    assert "--against compares with another model" in result.err


def test_junit(cli, workspace):
    assert cli("check", "digits.onnx", "--select", "NM0", "--ignore", "NM002", "--junit", "check.xml").code == 0
    assert ElementTree.parse(workspace / "check.xml").getroot().get("tests") == "6"
    assert cli("check", "digits.onnx", "--select", "NM0", "--junit", "check.xml").code == 2


def test_a_file_that_is_no_model_exits_with_three(cli, workspace):
    (workspace / "bad.onnx").write_text("not a model")
    result = cli("check", "bad.onnx")
    assert result.code == 3
    assert "not an ONNX model" in result.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"select": ["NM9"]}, "no rule has a code that begins with 'NM9'"),
        ({"ignore": ["X"]}, "no rule has a code that begins with 'X'"),
        ({"trials": 3}, "trials must be at least 20, not 3"),
        ({"max_trials": 1}, "max_trials must be at least 2, not 1"),
        ({"alpha": 0.7}, "alpha must be between 0 and 0.5, not 0.7"),
        ({"gates": ["top1"]}, "not a gate: 'top1'"),
        ({"eta": -1.0}, "eta of noise model `gaussian` must be a finite number >= 0"),
        ({"backends": ["abacus"]}, "no backend is named 'abacus'"),
    ],
)
def test_bad_options_are_refused(workspace, options, message):
    with pytest.raises(UsageError) as raised:
        nmtool.check("digits.onnx", **options)
    assert message in raised.value.message


def test_explain(cli):
    assert "NM001" in cli("explain").out
    page = cli("explain", "nm001").out
    assert page.startswith("NM001: The file is valid ONNX.\n\n")
    assert cli("explain", "NM999").code == 2


@pytest.mark.skipif(availability("onnxruntime-cuda").version is not None, reason="this onnxruntime has CUDA")
def test_a_device_that_is_not_there_exits_with_four(cli, workspace):
    result = cli("check", "noisy.onnx", "--data", "digits.npz", "--device", "cuda")
    assert result.code == 4
    assert "has no CUDAExecutionProvider" in result.err
    assert "Traceback" not in result.err
    assert cli("run", "noisy.onnx", "--data", "digits.npz", "--device", "cuda").err == result.err


def test_the_cpu_is_a_device(cli, workspace):
    options = ("--data", "digits.npz", "-n", "60", "--select", "NM2", "--select", "NM502", "--json")
    named = cli("check", "noisy.onnx", *options, "--backend", "onnxruntime", "--device", "cpu")
    assert named.code == 0, named.err
    assert {rule["status"] for rule in json.loads(named.out)["rules"]} == {"passed"}
