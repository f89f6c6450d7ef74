"""Files are recognized by what they hold; what is broken is named, and nothing stops the page."""

import json
import shutil

import pytest
from analysis import ANALYSIS

import nmtool
from nmtool.verbs.report.sources import find


@pytest.fixture
def sources(study, tmp_path):
    return lambda: find(study, tmp_path / "page.html")


def reasons(sources):
    return {each.file: each.reason for each in sources.unread}


def test_names_do_not_matter(study, sources):
    for number, path in enumerate(sorted(path for path in study.rglob("*") if path.is_file())):
        (study / "deep/er").mkdir(parents=True, exist_ok=True)
        path.rename(study / f"deep/er/{number}{path.suffix}")
    found = sources()
    assert len(found.models) == len(found.results) == len(found.logs) == 1
    assert {each.schema for each in found.documents} == {
        f"nmtool.{n}/1" for n in ("analysis", "check", "inject", "sweep")
    }
    assert [each.reason for each in found.unread] == ["a picture; the report draws its own"]


def test_hidden_files_and_the_page_itself_are_left_out(study):
    (study / ".git").mkdir()
    (study / ".git/config").touch()
    (study / "page.html").touch()
    assert reasons(find(study, study / "page.html")).keys() == {"curve.png"}


def test_a_sweep_that_is_running_is_read_and_left_alone(study, sources):
    path = study / "points.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:20])
    before = path.read_bytes()
    (results,) = sources().results
    assert len(results.points) == len(lines) - 1
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("model.onnx", "not a model", "ONNX"),
        ("a.json", "{", "not JSON"),
        ("a.json", "[1, 2]", "not a JSON object"),
        ("a.json", '{"loss": 1}', "no document of nmtool"),
        ("a.json", '{"schema": "nmtool.check/1", "model": "m", "passed": true}', "rules"),
        ("a.json", '{"schema": "nmtool.check/1", "model": "m", "passed": "yes", "rules": []}', "passed must be true"),
        ("a.json", '{"schema": "nmtool.sweep/1", "metric": "x", "higher_is_better": true, "points": [3]}', "points[0]"),
        ("a.json", '{"schema": "nmtool.doctor/1", "command_line": "nmtool doctor"}', "no section shows"),
        ("a.jsonl", "", "no results yet"),
        ("a.jsonl", '{"schema": "other"}\n', "line 1 is not a result"),
        ("a.jsonl", '{"schema": "nmtool.analysis-point/1"}\n', "the measurements of an analysis"),
        ("a.jsonl", '{"schema": "nmtool.sweep/1", "value": 1}\n', "line 1"),
        ("a.csv", "step,loss\n1,0.5\n2,many\n", "line 3"),
        ("a.csv", "step,loss\n", "has not begun"),
        ("a.csv", "model,eta,trials,mean,std,low,high\n", "table of a sweep"),
        ("a.csv", "name,age\n", "no log of a training"),
        ("a.xyz", "", "not a file"),
    ],
)
def test_what_is_not_understood_has_its_reason(tmp_path, file, text, reason):
    (tmp_path / file).write_text(text)
    assert reason in reasons(find(tmp_path, tmp_path / "page.html"))[file]


def test_bytes_that_are_no_text(study, sources):
    for name in ("a.json", "a.jsonl", "a.csv"):
        (study / name).write_bytes(b"\xff\xfe\x00")
        assert "UTF-8" in reasons(sources())[name]


def test_every_value_of_a_wrong_type_is_noticed(tmp_path):
    """Whatever key of an analysis is replaced by a value of another type, the page says so or shows a dash."""
    document = ANALYSIS
    noticed = 0
    for place in _places(document):
        changed = json.loads(json.dumps(document))
        parent = changed
        for key in place[:-1]:
            parent = parent[key]
        parent[place[-1]] = {"a": "table"}
        (tmp_path / "analysis.json").write_text(json.dumps(changed))
        noticed += "analysis.json" in reasons(find(tmp_path, tmp_path / "page.html"))
    assert noticed > 100


def _places(value, place=()):
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(each, (*place, key))
    elif place:
        yield place


def test_many_files_of_a_kind_are_counted(study, tmp_path):
    (study / "images").mkdir()
    for number in range(20):
        (study / f"images/{number}.jpeg").touch()
    nmtool.report(study, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "20 files images/*.jpeg" in text
    assert "7.jpeg" not in text


def test_it_can_be_moved(study, sources):
    """Nothing depends on where the folder is."""
    before = sources()
    moved = study.with_name("moved")
    shutil.move(study, moved)
    after = find(moved, moved / "page.html")
    assert [each.file for each in before.documents] == [each.file for each in after.documents]
