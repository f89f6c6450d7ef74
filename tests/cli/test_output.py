"""Tables and numbers as text."""

import json

import pytest

from nmtool.cli.output import Output, number, percent, refuse_overwriting, table
from nmtool.errors import UsageError


def test_names_are_never_cut_in_a_pipe(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    name = "/encoder/layers/0/" + "very_long/" * 20
    table(("name", "figure"), [(name, "1"), ("[bold]x[/bold]", "22")], right=["figure"])
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith(name) and line.rstrip().endswith(" 1") for line in lines)
    assert any("[bold]x[/bold]" in line for line in lines)
    assert "\x1b" not in "".join(lines)


def test_figures():
    assert number(0.123456) == "0.123"
    assert number(0.05) == "0.0500"
    assert number(123.4) == "123"
    assert number(None) == percent(None) == "-"
    assert percent(0.9999) == "100.0%"


def test_json_is_valid_json_with_its_own_head(capsys):
    Output("x", as_json=True).result({"schema": "y", "rows": [{"a": float("nan"), "b": (1, float("inf"))}]}, print)
    document = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(name))
    assert list(document) == ["schema", "version", "rows"]
    assert document["schema"] == "nmtool.x/1"
    assert document["rows"] == [{"a": None, "b": [1, None]}]


def test_quiet_says_nothing(capsys):
    Output("x", quiet=True).note("hello")
    assert capsys.readouterr() == ("", "")


def test_overwriting_is_refused_before_any_work(tmp_path):
    there = tmp_path / "there"
    there.touch()
    refuse_overwriting([None, there], force=True)
    with pytest.raises(UsageError, match="output file exists"):
        refuse_overwriting([there], force=False)
    with pytest.raises(UsageError, match="no such folder"):
        refuse_overwriting([tmp_path / "no" / "file"], force=True)
