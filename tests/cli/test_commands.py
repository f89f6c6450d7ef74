"""Every command on the digits example: its help's examples, its JSON, its files, and what it refuses."""

import importlib.util
import json
import shlex

import numpy as np
import onnx
import pytest

from nmtool.cli.app import app

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch")

EXAMPLES = [
    line.strip()
    for command in app.registered_commands
    for line in command.epilog.splitlines()
    if line.strip().startswith("nmtool ")
]


@pytest.mark.parametrize("line", EXAMPLES)
def test_examples_of_the_help_run(cli, workspace, line):
    arguments = shlex.split(line)[1:]
    if "-o" in arguments:
        (workspace / arguments[arguments.index("-o") + 1]).unlink(missing_ok=True)
    result = cli(*arguments)
    assert result.code == 0, result.err


def document(result):
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_inject_reports_every_weight_array(cli, workspace):
    report = document(cli("inject", "digits.onnx", "-o", "out.onnx", "--json", "--exclude", "conv1"))["report"]
    status = {node["name"]: node["status"] for node in report["nodes"]}
    assert status == {"conv1": "digital", "conv2": "noisy", "dense1": "noisy", "dense2": "noisy"}
    onnx.checker.check_model(onnx.load("out.onnx"), full_check=True)


def test_inject_prints_a_table(cli, workspace):
    result = cli("inject", "digits.onnx", "-o", "out.onnx", "--skip-last", "1")
    lines = result.out.splitlines()
    assert any("dense2" in line and "digital" in line and "--skip-last" in line for line in lines)
    assert any(line.startswith("analog: ") and "of weights" in line and "of MACs" in line for line in lines)
    assert "wrote: out.onnx" in result.err


def test_bake_equals_run_at_that_trial(cli, workspace):
    assert document(cli("bake", "noisy.onnx", "-o", "chip.onnx", "--trial", "7", "--json"))["trial"] == 7
    cli("run", "noisy.onnx", "--data", "digits.npz", "--trial", "7", "--batch-size", "500", "-o", "noisy.npz")
    cli("run", "chip.onnx", "--data", "digits.npz", "-o", "chip.npz")
    np.testing.assert_allclose(np.load("noisy.npz")["logits"], np.load("chip.npz")["logits"], rtol=1e-4, atol=1e-4)


def test_strip_gives_the_clean_outputs_back(cli, workspace):
    assert document(cli("strip", "noisy.onnx", "-o", "clean.onnx", "--json"))["output"] == "clean.onnx"
    assert not any(node.domain == "nmtool" for node in onnx.load("clean.onnx").graph.node)
    clean = document(cli("run", "clean.onnx", "--data", "digits.npz", "--json"))["outputs"]
    assert document(cli("run", "digits.onnx", "--data", "digits.npz", "--json"))["outputs"] == clean


def test_clip_reports_each_array(cli, workspace):
    arrays = document(cli("clip", "digits.onnx", "-o", "out.onnx", "--json", "-k", "2", "--exclude", "conv1"))[
        "report"
    ]["arrays"]
    assert [(row["node"], bool(row["reason"])) for row in arrays] == [
        ("conv1", True),
        ("conv2", False),
        ("dense1", False),
        ("dense2", False),
    ]
    assert all(row["range_after"] < row["range_before"] and 0 < row["clipped"] < 0.1 for row in arrays[1:])
    assert "not clipped: excluded by --exclude" in cli("clip", "digits.onnx", "-o", "2.onnx", "--exclude", "conv1").out


@needs_torch
def test_calibration_recovers_accuracy(cli, workspace):
    arguments = ("--data", "digits.npz", "--eta", "0.1", "-n", "256")
    report = document(cli("calibrate-bn", "digits-bn.onnx", *arguments, "-o", "out.onnx", "--json"))["report"]
    assert [(node["node"], node["reason"]) for node in report["nodes"]] == [("conv1.bn", ""), ("conv2.bn", "")]
    assert all(node[name]["change"] > 0 for node in report["nodes"] for name in ("mean", "var"))
    shown = cli("calibrate-bn", "digits-bn.onnx", *arguments, "-o", "again.onnx")
    assert "means over 4 batches" in shown.out
    assert "wrote: again.onnx" in shown.err
    models = ("digits-bn.onnx", "out.onnx")
    sweep = document(cli("sweep", *models, "--data", "digits.npz", "--eta", "0.1", "--trials", "8", "--json"))
    means = {row["model"]: row["mean"] for row in sweep["summary"] if row["eta"]}
    assert means["out"] > means["digits-bn"]


@needs_torch
def test_calibration_without_batch_normalization_says_what_to_do(cli, workspace):
    result = cli("calibrate-bn", "digits.onnx", "--data", "digits.npz", "-o", "out.onnx")
    assert result.code == 3
    assert "error: the model has no BatchNormalization nodes\n\nhint: exporters" in result.err


def test_sweep_writes_what_it_says(cli, workspace):
    arguments = ("digits.onnx", "--data", "digits.npz", "--eta", "0:0.1:0.05", "--trials", "3")
    files = ("--results", "s.jsonl", "--csv", "s.csv", "--plot", "s.svg", "--plot", "s.png")
    result = document(cli("sweep", *arguments, *files, "--json"))
    assert [(row["eta"], row["trials"]) for row in result["summary"]] == [(0, 1), (0.05, 3), (0.1, 3)]
    assert result["summary"][0]["mean"] == pytest.approx(0.986)
    assert 0 < result["tolerance"]["digits"]["eta"] < 0.1
    for name in ("s.jsonl", "s.csv", "s.svg", "s.png"):
        assert (workspace / name).stat().st_size > 0


def test_sweep_prints_interval_and_tolerance(cli, workspace):
    result = cli("sweep", "digits.onnx", "--data", "digits.npz", "--eta", "0,0.1", "--trials", "2")
    assert "95 %" in result.out
    assert "eta*" in result.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["inject", "digits.onnx", "-o", "there"],
        ["strip", "noisy.onnx", "-o", "there"],
        ["bake", "noisy.onnx", "-o", "there"],
        ["clip", "digits.onnx", "-o", "there"],
        ["calibrate-bn", "digits-bn.onnx", "--data", "digits.npz", "-o", "there"],
        ["run", "noisy.onnx", "--data", "digits.npz", "-o", "there"],
        ["sweep", "digits.onnx", "--data", "digits.npz", "--csv", "there"],
        ["sweep", "digits.onnx", "--data", "digits.npz", "--plot", "there"],
    ],
)
def test_nothing_is_overwritten_without_force(cli, workspace, arguments):
    (workspace / "there").write_text("precious")
    result = cli(*arguments)
    assert result.code == 2
    assert "output file exists: there" in result.err
    assert (workspace / "there").read_text() == "precious"


def test_force_overwrites(cli, workspace):
    (workspace / "there").write_text("old")
    assert cli("strip", "noisy.onnx", "-o", "there", "--force").code == 0
    assert onnx.load("there").graph.node


COMMANDS_ON_A_MODEL = [
    ["inject", "{}", "-o", "out.onnx"],
    ["strip", "{}", "-o", "out.onnx"],
    ["bake", "{}", "-o", "out.onnx"],
    ["clip", "{}", "-o", "out.onnx"],
    pytest.param(["calibrate-bn", "{}", "--data", "digits.npz", "-o", "out.onnx"], marks=needs_torch),
    ["run", "{}", "--data", "digits.npz"],
    ["sweep", "{}", "--data", "digits.npz"],
    ["analyze", "{}", "--data", "digits.npz", "-o", "analysis"],
]


@pytest.mark.parametrize("content", ["missing", "folder", "empty", "random", "text", "npz"])
@pytest.mark.parametrize("arguments", COMMANDS_ON_A_MODEL, ids=lambda arguments: arguments[0])
def test_what_is_no_model_is_refused(cli, workspace, arguments, content):
    path = workspace / "bad.onnx"
    if content == "folder":
        path.mkdir()
    elif content != "missing":
        npz = (workspace / "digits.npz").read_bytes()
        made = {"empty": b"", "random": np.random.default_rng(0).bytes(5000), "text": b"hello\n", "npz": npz}
        path.write_bytes(made[content])
    result = cli(*(argument.format("bad.onnx") for argument in arguments))
    assert result.code == 3, result.err
    assert result.err.startswith("error: ")
    assert "bad.onnx" in result.err
    assert "Traceback" not in result.err
    assert not (workspace / "out.onnx").exists()


@pytest.mark.parametrize("verb", ["strip", "bake"])
def test_a_clean_model_has_nothing_to_take_out(cli, workspace, verb):
    result = cli(verb, "digits.onnx", "-o", "out.onnx")
    assert result.code == 3
    assert result.err.startswith("error: ")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--eta", "-1"),
        ("--noise", "nosuch"),
        ("--noise", "stuck:high"),
        ("--noise", "stuck:hihg=1"),
        ("--include", "x"),
    ],
)
def test_bad_noise_is_a_usage_error(cli, workspace, option, value):
    result = cli("inject", "digits.onnx", "-o", "out.onnx", option, value)
    assert result.code == 2
    assert result.err.startswith("error: ")
    assert not (workspace / "out.onnx").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--data", "nowhere.npz"],
        ["--data", "digits.onnx"],
        ["--data", "no_such_module:function"],
        ["--data", "digits.npz", "--resize", "8"],
        ["--data", "digits.npz", "--data-mean", "a,b"],
        ["--data", "digits.npz", "-n", "0"],
        ["--data", "digits.npz", "--backend", "nosuch"],
    ],
)
def test_bad_data_is_a_usage_error(cli, workspace, arguments):
    result = cli("run", "digits.onnx", *arguments)
    assert result.code == 2
    assert result.err.startswith("error: ")


def test_any_command_records_its_document_and_its_command_line(cli, workspace):
    words = ["strip", "noisy.onnx", "-o", "a model.onnx", "--record", "strip.json", "--json"]
    printed = document(cli(*words))
    assert json.loads((workspace / "strip.json").read_text()) == printed
    assert printed["command_line"] == shlex.join(["nmtool", *words])
    (workspace / "a model.onnx").unlink()
    refused = cli(*words)
    assert refused.code == 2
    assert "output file exists: strip.json" in refused.err
    assert not (workspace / "a model.onnx").exists()
    assert cli(*words, "--force").code == 0


def test_a_check_writes_beside_the_table_and_records_too(cli, workspace):
    rules = ["digits.onnx", "--select", "NM0", "--backend", "onnxruntime"]
    result = cli("check", *rules, "--json", "a.json", "--record", "b.json")
    assert "NM001" in result.out
    assert (workspace / "a.json").read_text() == (workspace / "b.json").read_text()


def test_report_says_what_it_does_not_show(cli, workspace):
    found = document(cli("report", ".", "-o", "report.html", "--json"))
    assert found["sections"][:2] == ["Models", "Coverage"]
    assert [each["file"] for each in found["unread"]] == ["digits-train.npz", "digits.npz"]
    assert cli("report", ".", "-o", "report.html").code == 2
    assert "digits.npz" in cli("report", ".", "-o", "report.html", "--force").out


@pytest.mark.parametrize(("folder", "message"), [("nowhere", "no such folder"), ("empty", "nothing to report")])
def test_a_report_of_nothing_is_a_usage_error(cli, workspace, folder, message):
    (workspace / "empty").mkdir()
    result = cli("report", folder, "-o", "report.html")
    assert result.code == 2
    assert message in result.err
    assert not (workspace / "report.html").exists()


def test_doctor_is_content_here(cli):
    report = document(cli("doctor", "--json"))
    assert report["healthy"]
    checks = {check["name"]: check for check in report["checks"]}
    assert checks["noise"]["status"] == "ok"
    assert {"python", "platform", "numpy", "onnx", "onnxruntime", "providers"} <= checks.keys()
    assert {"library", "simd", "gpu kernels"} <= checks.keys()


def test_doctor_names_what_is_missing(cli, monkeypatch, tmp_path):
    monkeypatch.setenv("NMTOOL_OPS_LIBRARY", str(tmp_path / "nothing.so"))
    result = cli("doctor")
    assert result.code == 4
    assert "missing" in result.out
    assert "to get library: unset NMTOOL_OPS_LIBRARY or build the library" in result.out
