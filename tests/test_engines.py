"""Where engines with an environment of their own are, and whether they are whole."""

import json
import sys

import pytest

from nmtool import engines
from nmtool.errors import SetupError, UsageError

NAME = "ort-training"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NMTOOL_ENGINES", str(tmp_path))
    return tmp_path


def put(home, record, python=True):
    interpreter = engines.interpreter(home / NAME)
    interpreter.parent.mkdir(parents=True)
    if python:
        interpreter.symlink_to(sys.executable)
    (home / NAME / engines.RECORD).write_text(record)


def test_what_is_whole_is_installed(home):
    put(home, json.dumps({"versions": {"onnx": "1.17.0"}}))
    found = engines.installation(NAME)
    assert (found.python, found.versions) == (engines.interpreter(home / NAME), {"onnx": "1.17.0"})


def test_an_environment_without_its_record_does_not_count(home):
    (home / NAME / "bin").mkdir(parents=True)
    with pytest.raises(SetupError, match="the engine ort-training is not installed") as raised:
        engines.installation(NAME)
    assert raised.value.hint == "nmtool engine install ort-training"


@pytest.mark.parametrize("record", ["", "{", "[]", "{}", '{"versions": 3}'])
def test_a_damaged_record_is_said_to_be_one(home, record):
    put(home, record)
    with pytest.raises(SetupError, match="is damaged") as raised:
        engines.installation(NAME)
    assert raised.value.hint == "nmtool engine install ort-training --force"


def test_a_python_that_is_gone(home):
    put(home, '{"versions": {}}', python=False)
    with pytest.raises(SetupError, match="has lost its Python"):
        engines.installation(NAME)


def test_names():
    assert engines.find(NAME).requirements[0] == "onnxruntime-training==1.19.2"
    with pytest.raises(UsageError, match="no engine is named 'ort'"):
        engines.find("ort")


def test_the_folder_of_the_user(monkeypatch, tmp_path):
    monkeypatch.delenv("NMTOOL_ENGINES", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert engines.home() == tmp_path / "nmtool/engines"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert engines.home() == tmp_path / ".local/share/nmtool/engines"
