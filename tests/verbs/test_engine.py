"""Installing engines: a tiny package stands in for one, so that no index is needed."""

import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

import nmtool
from nmtool import engines
from nmtool.errors import SetupError, UsageError
from nmtool.verbs import engine as verb

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """The engine `tiny`, made of a wheel in a folder, and the folder of environments."""
    wheel = tmp_path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny.py", "works = True\n")
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    platform = subprocess.run(["uname", "-sm"], capture_output=True, text=True, check=True).stdout.strip()
    made = engines.Engine("tiny", "a stand-in", (str(wheel),), "import tiny; assert tiny.works", platform, (HERE,))
    monkeypatch.setitem(engines.ENGINES, "tiny", made)
    monkeypatch.setenv("NMTOOL_ENGINES", str(tmp_path / "engines"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return tmp_path / "engines", made


@pytest.fixture
def steps(monkeypatch):
    """What each step of an installation ends with, by a word of its command; others succeed, and only make files."""
    outcomes: dict[str, tuple[int, str]] = {}
    run = subprocess.run

    def pretend(command, **options):
        if "json, platform" in command[-1]:
            return run(command, **options)
        if "venv" in command:
            interpreter = engines.interpreter(Path(command[-1]))
            interpreter.parent.mkdir(parents=True)
            interpreter.symlink_to(sys.executable)
        code, text = next((outcomes[word] for word in outcomes if word in command), (0, "{}"))
        return subprocess.CompletedProcess(command, code, "" if code else text, text if code else "")

    monkeypatch.setattr(verb.subprocess, "run", pretend)
    return outcomes


def test_what_is_installed_is_not_made_anew_unasked(tiny, steps):
    home, _ = tiny
    said = []
    assert nmtool.install_engine("tiny", report=said.append) == engines.installation("tiny")
    assert len(said) == 3
    with pytest.raises(UsageError, match="the engine tiny is installed") as raised:
        nmtool.install_engine("tiny")
    assert "--force" in raised.value.hint
    (home / "tiny/old").touch()
    nmtool.install_engine("tiny", force=True)
    assert not (home / "tiny/old").exists()
    assert [path.name for path in home.iterdir()] == ["tiny"]


@pytest.mark.parametrize(
    ("word", "text", "message", "hint"),
    [
        ("venv", "ensurepip is not available", "virtual environment cannot be made: ensurepip", "python3-venv"),
        (
            "pip",
            "WARNING: Retrying after NewConnectionError('Name or service not known')\nERROR: No matching distribution",
            "no package index can be reached",
            "PIP_INDEX_URL",
        ),
        (
            "pip",
            "ERROR: No matching distribution found for x==1\n",
            "installed: ERROR: No matching distribution",
            "pip",
        ),
        (
            "import tiny; assert tiny.works",
            "ImportError: libcuda.so",
            "it does not work: ImportError: libcuda",
            "space",
        ),
    ],
    ids=["venv", "network", "package", "probe"],
)
def test_what_fails_is_named_and_nothing_is_left(tiny, steps, word, text, message, hint):
    home, _ = tiny
    (home / "tiny").mkdir(parents=True)
    (home / "tiny" / engines.RECORD).write_text("the old one")
    steps[word] = (1, text)
    with pytest.raises(SetupError, match=message) as raised:
        nmtool.install_engine("tiny", force=True)
    assert hint in raised.value.hint
    assert raised.value.exit_code == 4
    assert (home / "tiny" / engines.RECORD).read_text() == "the old one"
    assert [path.name for path in home.iterdir()] == ["tiny"]


@pytest.mark.slow
def test_it_is_installed_whole(tiny):
    home, _ = tiny
    found = nmtool.install_engine("tiny")
    assert found == engines.installation("tiny")
    assert found.versions["tiny"] == "1.0"
    works = [str(found.python), "-I", "-c", "import sys, tiny; print(sys.prefix)"]
    assert subprocess.run(works, capture_output=True, text=True, check=True).stdout.strip() == str(home / "tiny")
    assert [path.name for path in home.iterdir()] == ["tiny"]


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        ({"pythons": ("2.6", "2.7")}, f"has no packages for Python {HERE}", "a Python 2.7 or 2.6 with --python"),
        ({"platform": "Plan9 mips"}, "is published for Plan9 mips only, this is", "--engine torch"),
    ],
)
def test_where_there_are_no_packages_nothing_is_tried(tiny, monkeypatch, change, message, hint):
    home, made = tiny
    monkeypatch.setitem(engines.ENGINES, "tiny", replace(made, **change))
    with pytest.raises(SetupError, match=message) as raised:
        nmtool.install_engine("tiny")
    assert hint in raised.value.hint
    assert not home.exists()


def test_a_python_must_be_one(tiny):
    for python in ("/no/such/python", "/bin/false", "/bin/echo"):
        with pytest.raises(SetupError, match=f"not a Python interpreter: {python}"):
            nmtool.install_engine("tiny", python=python)


def test_a_folder_that_cannot_be_written_to(tiny, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NMTOOL_ENGINES", str(tmp_path / "file/engines"))
    with pytest.raises(SetupError, match=r"cannot be written: .*file") as raised:
        nmtool.install_engine("tiny")
    assert "NMTOOL_ENGINES" in raised.value.hint


def test_the_command_lists_and_refuses(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("NMTOOL_ENGINES", str(tmp_path))
    assert "not installed (nmtool engine install ort-training)" in cli("engine").out
    assert '"ort-training": "the engine' in cli("engine", "list", "--json").out
    assert cli("engine", "install").code == 2
    assert "no engine is named 'x'" in cli("engine", "install", "x").err
    refused = cli("engine", "install", "ort-training", "--python", "/bin/false")
    assert (refused.code, refused.out) == (4, "")
    assert "engine ort-training" in cli("doctor").out
