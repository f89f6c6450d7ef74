"""The page: complete, self-contained, the same each time, and safe whatever names models have."""

import json
import re
import shutil

import onnx
import pytest
from pages import parse

import nmtool
from nmtool.errors import SetupError, UsageError

SECTIONS = [
    "sweeps",
    "models",
    "coverage",
    "sensitivity",
    "signal",
    "information",
    "precision",
    "training",
    "checks",
    "provenance",
    "commands",
    "unread",
]


@pytest.fixture
def page(study, tmp_path):
    nmtool.report(study, tmp_path / "page.html")
    return parse((tmp_path / "page.html").read_text())


def section(page, name):
    (found,) = page.all("section", id=name)
    return found


def test_every_kind_of_result_has_a_section_that_the_navigation_leads_to(page):
    assert [each.attributes["id"] for each in page.all("section")] == SECTIONS
    assert [each.attributes["href"] for each in page.all("nav")[0].all("a")] == [f"#{name}" for name in SECTIONS]
    assert page.all("h1")[0].text == page.all("title")[0].text.partition(" ")[0] == "study"


def test_it_needs_nothing_else(page, tmp_path):
    assert not {each.tag for each in page.all()} & {"script", "img", "link", "iframe", "object", "form"}
    links = [value for each in page.all() for name, value in each.attributes.items() if name in ("href", "src")]
    assert all(link.startswith("#") for link in links)
    assert not re.search(r"url\(|@import", (tmp_path / "page.html").read_text())
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy.attributes["content"].startswith("default-src 'none'")


def test_equal_folders_give_equal_pages(study, tmp_path):
    nmtool.report(study, tmp_path / "a.html")
    again = tmp_path / "elsewhere" / "study"
    shutil.copytree(study, again, copy_function=shutil.copyfile)  # with other times
    nmtool.report(again, again / "b.html")
    nmtool.report(again, again / "b.html", force=True)  # the page is not a source of itself
    assert (tmp_path / "a.html").read_bytes() == (again / "b.html").read_bytes()


def test_every_plot_has_a_text_and_every_table_headings(page):
    plots = page.all("div", class_="plot")
    assert len(plots) == 7  # sweep, three of information, precision, loss, validation
    assert all(plot.attributes["role"] == "img" and len(plot.attributes["aria-label"]) > 20 for plot in plots)
    assert all(svg.attributes["aria-hidden"] == "true" for svg in page.all("svg"))
    for table in page.all("table"):
        assert all(cell.attributes["scope"] == "col" for cell in table.all("thead")[0].all("th"))
        assert all(row.all("th", scope="row") for row in table.all("tbody")[0].all("tr"))
    ids = [each.attributes["id"] for each in page.all() if "id" in each.attributes]
    assert len(ids) == len(set(ids))


def test_the_sweep_is_shown_once_with_its_tolerance(page, study):
    points = json.loads((study / "sweep.json").read_text())
    shown = section(page, "sweeps")
    assert len(shown.all("figure")) == 1  # points.jsonl and sweep.json hold the same
    tolerance = points["tolerance"]["digits"]
    assert f"{tolerance['eta']:#.3g}" in shown.all("table")[0].text
    cells = [row.all("td")[0].text for row in shown.all("table")[1].all("tbody")[0].all("tr")]
    means = [row["mean"] for row in points["summary"]]
    assert [float(cell.partition(" ")[0]) for cell in cells] == pytest.approx([100 * mean for mean in means], abs=0.01)
    (line, dots) = (shown.all("path", class_=f"{kind} c0")[-1].attributes["d"] for kind in ("line", "dots"))
    assert line.count("L") == 3
    assert dots.count("M") == 4


def test_coverage_is_that_of_the_model_with_the_reasons_of_inject(page):
    rows = section(page, "coverage").all("tbody")[0].all("tr")
    assert [(row.all("th")[0].text, row.all("span")[0].text) for row in rows] == [
        ("conv1", "digital"),
        ("conv2", "noisy"),
        ("dense1", "noisy"),
        ("dense2", "noisy"),
    ]
    assert "--exclude" in rows[0].text


def test_coverage_without_a_record_says_what_the_model_tells(study, tmp_path):
    (study / "i.json").unlink()
    nmtool.report(study, tmp_path / "page.html")
    rows = section(parse((tmp_path / "page.html").read_text()), "coverage").all("tbody")[0].all("tr")
    assert "digital in the model" in rows[0].text


def test_sensitive_layers_come_first_with_bars_as_long_as_their_loss(page):
    rows = section(page, "sensitivity").all("tbody")[0].all("tr")
    assert [row.all("th")[0].texts[0] for row in rows] == ["first", "second", "third"]
    first, second, third = (row.all("rect")[0].attributes for row in rows)
    widths = [float(each["width"].rstrip("%")) for each in (first, second, third)]
    assert widths[0] / widths[1] == pytest.approx(0.3125 / 0.125, abs=0.01)
    assert float(third["x"].rstrip("%")) + widths[2] == pytest.approx(float(first["x"].rstrip("%")), abs=0.02)
    assert "31.2" in rows[0].text


def test_information_has_both_kinds_of_noise_and_says_whether_there_were_enough_samples(page):
    points, draws, layers = section(page, "information").all("table")
    assert [cell.text for cell in points.all("thead")[0].all("th")][-3:] == [
        "label, read, bits",
        "label, chip, bits",
        "accuracy",
    ]
    assert [row.all("td")[5].text for row in points.all("tbody")[0].all("tr")][:2] == ["2.50", "2.45"]
    first = draws.all("tbody")[0].all("tr")[0]
    assert [cell.text for cell in first.all("td")] == ["0.1", "4", "2.25", "1.75"]
    assert len(layers.all("tbody")[0].all("tr")) == 1


def test_commands_come_in_the_order_in_which_they_build_on_another(page):
    shown = section(page, "commands")
    assert [line.text.split()[1] for line in shown.all("code")[:-1]] == ["inject", "sweep", "check"]
    assert "analysis.json" in shown.all("p", class_="remark")[-1].text
    assert "noisy.onnx" not in shown.all("p", class_="remark")[-1].text


def test_what_is_not_shown_is_named_with_the_reason(page, study, tmp_path):
    assert "curve.png" in section(page, "unread").text
    (unread,) = nmtool.report(study, tmp_path / "again.html").unread
    assert unread.file == "curve.png"
    assert "picture" in unread.reason


EVIL = "<script>alert(1)</script><b a=\"'>{{ 7 * 7 }}&amp;"


def test_no_name_becomes_markup(study, tmp_path):
    model = onnx.load(study / "noisy.onnx")
    model.graph.node[0].name = EVIL
    model.producer_name = EVIL
    onnx.save(model, study / "noisy.onnx")
    for file in ("analysis.json", "found.json", "sweep.json", "i.json"):
        text = (study / file).read_text()
        for name in ("digits.onnx", "conv1", "first", "passed:", "gaussian"):
            text = text.replace(name, json.dumps(EVIL)[1:-1])
        (study / file).write_text(text)
    plain = parse_of(study, tmp_path / "page.html")
    assert not plain.all("script")
    assert not plain.all("b")
    assert EVIL in plain.text
    assert "49&" not in plain.text


def parse_of(folder, path):
    nmtool.report(folder, path, title=EVIL)
    return parse(path.read_text())


def test_an_empty_folder_is_a_usage_error(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/notes.txt").write_text("nothing")
    with pytest.raises(UsageError, match="nothing to report") as error:
        nmtool.report(tmp_path / "empty", tmp_path / "page.html")
    assert "--record" in (error.value.hint or "")
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    ("options", "message"), [({"drop": -1}, "negative"), ({"drop": float("nan")}, "negative"), ({}, "exists")]
)
def test_what_is_refused(study, tmp_path, options, message):
    if not options:
        (tmp_path / "page.html").touch()
    with pytest.raises(UsageError, match=message):
        nmtool.report(study, tmp_path / "page.html", **options)


def test_without_jinja_it_says_what_to_install(study, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(SetupError, match="jinja2") as error:
        nmtool.report(study, tmp_path / "page.html")
    assert "nmtool[report]" in (error.value.hint or "")
