"""`nmtool analyze` writes what the Python API returns, goes on where it stopped, and leaves nothing half done."""

import csv
import json

import onnx
import pytest

import nmtool

OPTIONS = ("--data", "digits.npz", "-n", "60", "--eta", "0.1", "--trials", "2", "--draws", "8", "--gradient", "0")
GATE = ("--gate", "top1>=0.2")


@pytest.fixture
def found():
    from nmtool.data import DataOptions

    return nmtool.analyze(
        "digits.onnx",
        "digits.npz",
        eta=0.1,
        trials=2,
        draws=8,
        gradient=0,
        gate="top1>=0.2",
        data_options=DataOptions(limit=60),
    )


def test_the_command_line_is_the_python_api(cli, workspace, found):
    result = cli("analyze", "digits.onnx", *OPTIONS, *GATE, "-o", "analysis", "--json")
    assert result.code == 0, result.err
    written = json.loads((workspace / "analysis/analysis.json").read_text())
    assert written == json.loads(json.dumps(found.to_json()))
    printed = json.loads(result.out)
    assert {key: printed[key] for key in ("sensitivity", "snr", "information", "precision")} == {
        key: written[key] for key in ("sensitivity", "snr", "information", "precision")
    }
    names = {path.name for path in (workspace / "analysis").iterdir()}
    plots = {f"{part}.svg" for part in ("sensitivity", "snr", "information", "precision")}
    tables = {f"{part}.csv" for part in ("sensitivity", "snr", "information", "layers", "precision")}
    assert names == {"analysis.json", "points.jsonl", "profile.toml", *plots, *tables}
    assert all(f"wrote: analysis/{name}" in result.err for name in names - {"points.jsonl"})
    with (workspace / "analysis/sensitivity.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["only_mean"]) for row in rows] == [row["only"]["mean"] for row in written["sensitivity"]]


def test_only_the_parts_that_are_asked_for(cli, workspace):
    assert cli("analyze", "digits.onnx", *OPTIONS, "--part", "snr", "-o", "a").code == 0
    assert {path.name for path in (workspace / "a").iterdir()} == {
        "analysis.json",
        "points.jsonl",
        "snr.csv",
        "snr.svg",
    }
    assert set(json.loads((workspace / "a/analysis.json").read_text())) == {
        *("schema", "nmtool", "model", "settings", "notes", "snr")
    }


def test_it_goes_on_where_it_stopped(cli, workspace):
    arguments = ("analyze", "digits.onnx", *OPTIONS, *GATE, "-o", "a")
    assert cli(*arguments).code == 0
    points, document = workspace / "a/points.jsonl", workspace / "a/analysis.json"
    whole, first = points.read_bytes(), document.read_bytes()
    lines = whole.splitlines(keepends=True)
    points.write_bytes(b"".join(lines[: len(lines) // 2]) + lines[-1][:20])  # killed while it wrote a line
    document.unlink()
    assert cli(*arguments, "--force").code == 0
    assert document.read_bytes() == first
    assert sorted(points.read_bytes().splitlines()) == sorted(whole.splitlines())
    assert cli(*arguments, "--force").code == 0
    assert len(points.read_bytes().splitlines()) == len(lines)


def test_results_are_not_overwritten(cli, workspace):
    arguments = ("analyze", "digits.onnx", *OPTIONS, "--part", "snr", "-o", "a")
    assert cli(*arguments).code == 0
    result = cli(*arguments)
    assert result.code == 2
    assert "output file exists: a/analysis.json" in result.err


def test_annotations_change_nothing_but_metadata(cli, workspace):
    arguments = ("analyze", "digits.onnx", *OPTIONS, *GATE, "-o", "a", "--annotate", "shown.onnx")
    assert cli(*arguments).code == 0
    shown, source = onnx.load("shown.onnx"), onnx.load("digits.onnx")
    entries = {node.name: {e.key: e.value for e in node.metadata_props} for node in shown.graph.node}
    for node in ("conv1", "conv2", "dense1", "dense2"):
        assert "rank" in entries[node]["nmtool.sensitivity"]
        assert "dB" in entries[node]["nmtool.snr"]
        assert "bits" in entries[node]["nmtool.information"]
    for node in shown.graph.node:
        del node.metadata_props[:]
    assert shown == source


def test_the_advice_is_hardware_for_inject(cli, workspace):
    arguments = ("--part", "precision", "--gate", "top1>=0.9", "--trials", "3", "-o", "a", "--json")
    advice = json.loads(cli("analyze", "digits.onnx", *OPTIONS[:6], *arguments).out)["precision"]
    result = cli("inject", "digits.onnx", "--hardware", "a/profile.toml", "-o", "mixed.onnx", "--json")
    nodes = json.loads(result.out)["report"]["nodes"]
    assert [node["name"] for node in nodes if node["status"] == "digital"] == advice["digital"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--part", "entropy"], 2, "no part 'entropy'"),
        (["--part", "precision"], 2, "needs a gate"),
        (["--trials", "0"], 2, "trials must be at least 1"),
        (["--draws", "1"], 2, "draws must be at least 2"),
        (["--budget", "0"], 2, "budget must be at least 1"),
        (["--eta", "-1"], 2, "finite number >= 0"),
        (["--metric", "nosuch"], 2, "no metric"),
        (["--exclude", "nosuch"], 2, "no analog node matches"),
        (["--output-name", "nosuch"], 2, "no output 'nosuch'"),
    ],
)
def test_what_is_wrong_is_said_and_leaves_nothing(cli, workspace, arguments, code, message):
    result = cli("analyze", "digits.onnx", *OPTIONS, *arguments, "-o", "a")
    assert result.code == code
    assert message in result.err
    assert "Traceback" not in result.err
    assert not (workspace / "a").exists()


def test_the_folder_must_be_one(cli, workspace):
    (workspace / "file").write_text("precious")
    assert "output is no folder: file" in cli("analyze", "digits.onnx", *OPTIONS, "-o", "file").err
    assert "no such folder: no" in cli("analyze", "digits.onnx", *OPTIONS, "-o", "no/where").err


def test_a_file_of_something_else_is_not_appended_to(cli, workspace):
    (workspace / "a").mkdir()
    (workspace / "a/points.jsonl").write_text('{"schema": "other"}\n')
    result = cli("analyze", "digits.onnx", *OPTIONS, "-o", "a")
    assert result.code == 2
    assert "line 1 of a/points.jsonl is not a measurement of an analysis" in result.err
