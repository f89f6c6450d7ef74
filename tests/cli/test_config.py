"""Configuration files: precedence, unknown keys, and the round trip through --print-config."""

import tomllib
from pathlib import Path

import pytest


def merged(cli, *arguments):
    result = cli("inject", "m.onnx", "-o", "n.onnx", *arguments, "--print-config")
    assert result.code == 0, result.err
    return tomllib.loads(result.out)["inject"]


@pytest.fixture
def config(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "config.toml"
        path.write_text(text)
        return path

    return write


def test_precedence_is_flag_environment_file_default(cli, config, monkeypatch):
    path = config("[inject]\neta = 0.2\nseed = 3\nskip-first = 4\n")
    monkeypatch.setenv("NMTOOL_INJECT_ETA", "0.3")
    monkeypatch.setenv("NMTOOL_INJECT_SKIP_FIRST", "5")
    values = merged(cli, "-c", path, "--skip-first", "6")
    assert values["skip_first"] == 6
    assert values["eta"] == 0.3
    assert values["seed"] == 3
    assert values["skip_last"] == 0


def test_the_environment_can_name_the_file(cli, config, monkeypatch):
    monkeypatch.setenv("NMTOOL_INJECT_CONFIG", str(config("[inject]\nseed = 3\n")))
    assert merged(cli)["seed"] == 3


def test_lists_flags_and_choices(cli, config):
    path = config('[inject]\nexclude = ["a*", "b c"]\ninclude-ops = "Conv"\nfresh = true\ndrawn = "chip"\n')
    values = merged(cli, "-c", path)
    assert values["exclude"] == ["a*", "b c"]
    assert values["include_ops"] == ["Conv"]
    assert values["fresh"] is True
    assert values["drawn"] == "chip"


def test_printed_configuration_reads_back_the_same(cli, config):
    options = ["--eta", "0.25", "--exclude", 'a "quoted" \\ näme', "--fresh", "--opset", "18", "--relative-to", "max"]
    printed = cli("inject", "m.onnx", "-o", "n.onnx", *options, "--print-config").out
    assert cli("inject", "-c", config(printed), "--print-config").out == printed


def test_data_table_serves_every_command_that_reads_data(cli, config):
    path = config('[data]\ndata = "x.npz"\nbatch_size = 7\n[run]\nbatch-size = 8\n')
    assert tomllib.loads(cli("sweep", "m.onnx", "-c", path, "--print-config").out)["sweep"]["batch_size"] == 7
    assert tomllib.loads(cli("run", "m.onnx", "-c", path, "--print-config").out)["run"]["batch_size"] == 8


def test_several_etas_as_a_list(cli, config):
    path = config('[sweep]\nmodels = ["a.onnx", "b.onnx"]\neta = [0, 0.01]\ndata = "x.npz"\n')
    values = tomllib.loads(cli("sweep", "-c", path, "--print-config").out)["sweep"]
    assert values["eta"] == "0,0.01"
    assert values["models"] == ["a.onnx", "b.onnx"]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[inject]\netta = 1\n", "unknown key in [inject]", "did you mean eta?"),
        ("[injekt]\neta = 1\n", "unknown table", "did you mean inject?"),
        ("[sweep]\ntrails = 1\n", "unknown key in [sweep]", "did you mean trials?"),
        ("[data]\nlayuot = 'nchw'\n", "unknown key in [data]", "did you mean layout?"),
        ("[data]\neta = 1\n", "unknown key in [data]", "known: "),
        ("eta = 1\n", "key outside of a table", "put it below a line such as [sweep]"),
        ("[inject\n", "cannot read configuration", None),
    ],
)
def test_mistakes_are_named_with_a_suggestion(cli, config, text, message, hint):
    result = cli("inject", "m.onnx", "-o", "n.onnx", "-c", config(text))
    assert result.code == 2
    assert result.err.startswith("error: ")
    assert message in result.err
    assert hint is None or f"hint: {hint}" in result.err


@pytest.mark.parametrize("text", ['[inject]\neta = "much"\n', '[inject]\ndrawn = "often"\n', "[inject]\nseed = 1.5\n"])
def test_values_are_checked_like_typed_ones(cli, config, text):
    result = cli("inject", "m.onnx", "-o", "n.onnx", "-c", config(text))
    assert result.code == 2
    assert "Invalid value" in result.err


def test_missing_file(cli):
    result = cli("inject", "m.onnx", "-o", "n.onnx", "-c", "nowhere.toml")
    assert result.code == 2
    assert "cannot read configuration nowhere.toml" in result.err
