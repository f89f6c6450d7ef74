"""Planted defects: each is caught by the rules that docs/checks.md names for it; the sound model passes them all."""

import re
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from defects import DEFECTS, IMAGES, TEXT, arrays

import nmtool
from build import model

PAGE = Path(__file__).parents[2] / "docs/checks.md"


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A folder with the original, a noisy model, a retrained one (clipped), and labelled data."""
    folder = tmp_path_factory.mktemp("sound")
    onnx.save(model(TEXT, **arrays()), folder / "original.onnx")
    nmtool.inject(folder / "original.onnx", eta=0.02).save(folder / "noisy.onnx")
    labels = nmtool.run(folder / "original.onnx", {"x": IMAGES})["y"].argmax(axis=1)
    np.savez(folder / "data.npz", x=IMAGES, label=labels)
    return folder


def check(folder, model_file, **options):
    data = {} if options.pop("without_data", False) else {"data": folder / "data.npz"}
    options = {"backends": ["onnxruntime", "torch"], "ignore": ["NM5"], "gates": ["top1>=0.5@eta=0.01"]} | options
    if not data:
        options.pop("gates")
    return nmtool.check(model_file, against=folder / "original.onnx", **data, **options)


@pytest.mark.parametrize("name", ["original.onnx", "noisy.onnx"])
def test_the_sound_model_passes(sound, name):
    report = check(sound, sound / name, eta=0.02)
    assert [
        (each.code, found.message) for each, found in report.findings if found.severity in ("error", "warning")
    ] == []


@pytest.mark.parametrize("name", DEFECTS)
def test_defects_are_caught(sound, name, tmp_path):
    codes, of, plant, options = DEFECTS[name]
    folder = tmp_path / "m"
    shutil.copytree(sound, folder)
    proto = onnx.load(folder / f"{of}.onnx")
    planted = plant(proto) or proto
    if isinstance(planted, onnx.ModelProto):
        onnx.save(planted, folder / "bad.onnx")
    else:
        planted(folder)
    report = check(folder, folder / "bad.onnx", **options)
    found = {outcome.code for outcome in report.outcomes if outcome.status in ("error", "warning")}
    assert set(codes) <= found


def test_the_page_lists_every_defect():
    listed = dict(re.findall(r"^\| (.+?) \| (NM[\w ]+?) \|$", PAGE.read_text(), re.MULTILINE))
    assert listed == {name: " ".join(codes) for name, (codes, *_) in DEFECTS.items()}
    assert len(DEFECTS) >= 30
