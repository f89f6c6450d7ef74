"""What a check says: the order of its findings, and its documents."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import onnx
import pytest

import nmtool
from build import model, weights
from nmtool.checks import rule as rules
from nmtool.checks.finding import error, not_checked, note, warning
from nmtool.checks.gates import Gate, parse
from nmtool.checks.report import Report
from nmtool.checks.rule import Outcome, Rule, apply
from nmtool.checks.rules import RULES
from nmtool.errors import ModelError, UsageError


def outcome(*findings):
    return Outcome("NM999", "All is well", findings)


@pytest.mark.parametrize(
    ("findings", "status"),
    [
        ([], "passed"),
        ([note("a")], "passed"),
        ([not_checked("a")], "not checked"),
        ([not_checked("a"), note("b")], "passed"),
        ([note("a"), warning("b", "c")], "warning"),
        ([warning("b", "c"), error("d", "e"), not_checked("a")], "error"),
    ],
)
def test_a_rule_is_as_good_as_its_worst_finding(findings, status):
    assert outcome(*findings).status == status


def test_findings_come_worst_first():
    def check(subject):
        yield note("four")
        yield not_checked("three")
        yield error("one", "fix")
        yield warning("two", "fix")

    found = apply(Rule("NM999", "All is well", "page", check), subject=None)
    assert [finding.message for finding in found.findings] == ["one", "two", "three", "four"]
    report = Report("m", {}, [outcome(note("five")), found])
    assert [finding.message for _, finding in report.findings] == ["one", "two", "three", "five", "four"]
    assert not report.passed
    assert Report("m", {}, [outcome(warning("two", "fix"))]).passed


def test_what_a_rule_cannot_look_at_is_not_checked():
    def check(subject):
        yield note("so far")
        raise ModelError("the graph is malformed", hint="mend it")

    found = apply(Rule("NM999", "All is well", "page", check), subject=None)
    assert [(str(each.severity), each.message, each.fix) for each in found.findings] == [
        ("not checked", "the graph is malformed", "mend it"),
        ("note", "so far", ""),
    ]


def test_junit_has_a_case_per_rule(tmp_path):
    failed, skipped = (
        outcome(error("it <breaks>", "mend it"), note("so far")),
        outcome(not_checked("no data", "--data")),
    )
    Report("m.onnx", {}, [failed, skipped, outcome(note("3 ms")), outcome()]).write_junit(tmp_path / "check.xml")
    suite = ElementTree.parse(tmp_path / "check.xml").getroot()
    assert suite.attrib | {"name": ""} == {"name": "", "tests": "4", "failures": "1", "skipped": "1", "errors": "0"}
    failure, skip, measured, silent = suite
    assert failure.find("failure").get("message") == "error: it <breaks> (mend it)"
    assert "note: so far" in failure.find("failure").text
    assert skip.find("skipped").get("message") == "not checked: no data (--data)"
    assert measured.find("system-out").text == "note: 3 ms"
    assert list(silent) == []
    assert silent.get("name") == "NM999 All is well"


def test_the_document_is_json():
    proto = model("g (float[N,6] x) => (float[N,4] y) { y = MatMul(x, w) }", w=weights(6, 4))
    report = nmtool.check(proto, eta=0.05, select=["NM0", "NM1", "NM204"], backends=["onnxruntime"])
    document = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert document["passed"] is True
    assert len(document["model_sha256"]) == 64
    assert document["versions"]["onnx"] == onnx.__version__
    assert [rule["code"] for rule in document["rules"]][:2] == ["NM001", "NM002"]
    assert {"severity", "message", "fix", "facts"} == set(document["rules"][1]["findings"][0])


@pytest.mark.parametrize("name", RULES)
def test_every_rule_has_a_page(name):
    rule = rules.load(name)
    assert name.startswith(rule.code.lower())
    assert 10 < len(rule.title) < 90
    assert len(rule.page.split("\n\n")) > 2


def test_the_page_lists_every_rule():
    page = (Path(__file__).parents[2] / "docs/checks.md").read_text()
    listed = dict(re.findall(r"^\| (NM\d{3}) \| (.+) \|$", page, re.MULTILINE))
    assert listed == {rule.code: rule.title for rule in map(rules.load, RULES)}


def test_codes_are_unique_and_in_order():
    codes = [name[:5] for name in RULES]
    assert codes == sorted(set(codes))


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("top1>=0.90@eta=0.05", Gate("top1", ">=", 0.9, 0.05)),
        (" mse <= 1e-3 @ eta = 0 ", Gate("mse", "<=", 1e-3, 0.0)),
        ("my.metrics:f1>=-1", Gate("my.metrics:f1", ">=", -1.0)),
    ],
)
def test_gates(text, gate):
    assert parse(text) == gate
    assert parse(str(gate)) == gate


@pytest.mark.parametrize(
    "text", ["top1", "top1>0.9", "top1>=x", "top1>=0.9@eta=", "top1>=0.9@sigma=1", ">=1", "top1>=nan"]
)
def test_what_is_no_gate(text):
    with pytest.raises(UsageError, match="not a gate"):
        parse(text)
