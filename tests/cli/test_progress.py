"""Progress on stderr."""

import sys

import pytest

from nmtool.cli import progress as module
from nmtool.cli.output import Output
from nmtool.cli.progress import progress


@pytest.fixture
def no_pause(monkeypatch):
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0.0)


def test_plain_lines_where_there_is_no_terminal(capsys, no_pause):
    with progress(Output("x"), "sweep") as report:
        report(1, 3)
        report(2, 3)
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.partition(",")[0] for line in err.splitlines()] == ["sweep: 1 of 3", "sweep: 2 of 3"]


def test_lines_are_seconds_apart(capsys):
    with progress(Output("x"), "sweep") as report:
        for done in range(100):
            report(done, 100)
    assert capsys.readouterr() == ("", "")


def test_a_bar_in_a_terminal_goes_to_stderr(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress(Output("x"), "sweep") as report:
        report(1, 3)
    out, err = capsys.readouterr()
    assert out == ""
    assert "1/3" in err


def test_quiet_shows_none(capsys, no_pause):
    with progress(Output("x", quiet=True), "sweep") as report:
        report(1, 3)
    assert capsys.readouterr() == ("", "")
