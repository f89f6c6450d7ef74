"""The application as a whole: help, start-up cost, exit codes, and how every kind of error looks."""

import json
import os
import subprocess
import sys

import pytest

import nmtool
from nmtool.cli.app import app
from nmtool.errors import ModelError, SetupError

COMMANDS = [command.name for command in app.registered_commands]
HEAVY = {"numpy", "onnx", "onnx_ir", "onnxruntime", "matplotlib", "pydantic", "PIL", "importlib.metadata", "email"}


def python(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env={**os.environ, **environment}
    )


def test_alone_it_prints_help(cli):
    assert cli().code == 0
    assert cli().out == cli("--help").out == cli("-h").out
    for command in COMMANDS:
        assert f"  {command} " in cli().out


@pytest.mark.parametrize("statement", ["import nmtool", "from nmtool.cli.app import main; main(['--help'])"])
def test_nothing_heavy_is_imported(statement):
    code = f"import sys, atexit; atexit.register(lambda: print('LOADED', *sys.modules)); {statement}"
    loaded = python("-c", code).stdout.partition("LOADED")[2].split()
    assert loaded
    assert not HEAVY & set(loaded)


def test_console_script_and_module_are_the_same():
    process = python("-m", "nmtool", "strip", "-h")
    assert process.returncode == 0
    assert process.stdout.startswith("Usage: nmtool strip ")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_defaults_and_examples(cli, command):
    text = cli(command, "--help").out
    assert "Examples:\n" in text
    assert f"    nmtool {command}" in text
    assert all(len(line) <= 80 or line.lstrip().startswith("nmtool ") for line in text.splitlines())


def test_underscores_are_accepted_for_hyphens(cli):
    result = cli("inject", "m.onnx", "-o", "n.onnx", "--skip_first", "3", "--print_config")
    assert "skip_first = 3" in result.out


def test_version_names_library_and_runtime(cli):
    lines = dict(line.split(" ", 1) for line in cli("--version").out.splitlines())
    assert lines["nmtool"] == nmtool.__version__
    assert lines["library"].endswith("(ORT API 17)")
    assert "CPUExecutionProvider" in lines["providers"]
    assert lines["onnx"]
    assert lines["onnxruntime"]


def test_usage_errors_exit_with_2(cli):
    for arguments in (["injekt"], ["inject"], ["inject", "m.onnx"], ["inject", "m.onnx", "-o", "n", "--eta", "much"]):
        result = cli(*arguments)
        assert result.code == 2
        assert result.out == ""
        assert "Traceback" not in result.err
    assert "Did you mean 'inject'?" in cli("injekt").err


def test_errors_are_a_message_a_hint_and_a_code(cli, monkeypatch):
    def fail(model):
        raise SetupError("no such thing: x", hint="get it")

    monkeypatch.setattr(nmtool, "strip", fail, raising=False)
    result = cli("strip", "m.onnx", "-o", "n.onnx")
    assert (result.code, result.out, result.err) == (4, "", "error: no such thing: x\n\nhint: get it\n")


def test_an_error_without_a_hint_is_one_line(cli, monkeypatch):
    def fail(model):
        raise ModelError("broken")

    monkeypatch.setattr(nmtool, "strip", fail, raising=False)
    assert cli("strip", "m.onnx", "-o", "n.onnx").err == "error: broken\n"


def test_a_bug_has_a_traceback_and_exits_with_70(cli, monkeypatch):
    monkeypatch.setattr(nmtool, "strip", lambda model: 1 / 0, raising=False)
    result = cli("strip", "m.onnx", "-o", "n.onnx")
    assert result.code == 70
    assert "ZeroDivisionError" in result.err
    assert "please report" in result.err


def test_interruption_exits_with_130(cli, monkeypatch):
    def interrupt(model):
        raise KeyboardInterrupt

    monkeypatch.setattr(nmtool, "strip", interrupt, raising=False)
    result = cli("strip", "m.onnx", "-o", "n.onnx")
    assert result.code == 130
    assert "Traceback" not in result.err


def test_a_closed_pipe_is_no_bug():
    process = subprocess.Popen(
        [sys.executable, "-m", "nmtool", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    process.wait()
    assert "Traceback" not in error


def test_completion_offers_commands_choices_names_and_files(tmp_path):
    def complete(words, cword):
        process = subprocess.run(
            [sys.executable, "-c", "from nmtool.cli.app import main; main()"],
            env={**os.environ, "_NMTOOL_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(cword)},
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        return process.stdout.split()

    (tmp_path / "data.npz").touch()
    assert complete("nmtool in", 1) == ["inject"]
    assert complete("nmtool inject --drawn ", 3) == ["run", "chip"]
    assert complete("nmtool inject --noise l", 3) == ["lognormal", "levels", "lognormal-spread"]
    assert complete("nmtool run --data da", 3) == ["data.npz"]


def test_completion_script_falls_back_to_files():
    script = python(
        "-m", "nmtool", "--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1"
    ).stdout
    assert "complete -o default" in script


def test_json_is_one_document_with_schema_and_version(cli):
    document = json.loads(cli("list", "--json").out)
    assert document["schema"] == "nmtool.list/1"
    assert document["version"] == nmtool.__version__
    assert {"noise", "ops", "metrics", "backends"} <= document.keys()
