"""A folder of results: a noisy model, a sweep that was killed, a check, the log of a training, and an analysis."""

import json
import os
import shutil
from pathlib import Path

import pytest
from analysis import ANALYSIS

from nmtool.cli.app import main

LOG = """step,epoch,loss,learning_rate,eta,gradient_norm,clean,noisy
1,0,2.5,0.01,0.1,1.0,,
2,0,1.5,0.01,0.1,1.0,0.9,0.5
3,1,1.25,0.01,0.1,1.0,,
4,1,0.75,0.01,0.1,1.0,0.95,0.875
"""


def run(*words: object) -> None:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    assert stop.value.code == 0


@pytest.fixture(scope="session")
def made(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    before, folder = Path.cwd(), tmp_path_factory.mktemp("report") / "study"
    (folder / "trained.run").mkdir(parents=True)
    try:
        os.chdir(digits)
        run("inject", "digits.onnx", "-o", folder / "noisy.onnx", "--exclude", "conv1", "--record", folder / "i.json")
        grid = ["--eta", "0.025,0.05,0.1", "--trials", "3", "-n", "100", "--data", "digits.npz"]
        run("sweep", "digits.onnx", *grid, "--results", folder / "points.jsonl", "--record", folder / "sweep.json")
        rules = ["--select", "NM0", "--backend", "onnxruntime"]
        run("check", "digits.onnx", *rules, "--json", folder / "found.json")
    finally:
        os.chdir(before)
    (folder / "trained.run/log.csv").write_text(LOG)
    (folder / "analysis.json").write_text(json.dumps(ANALYSIS))
    (folder / "curve.png").write_bytes(b"a picture")
    return folder


@pytest.fixture
def study(made: Path, tmp_path: Path) -> Path:
    """A fresh copy."""
    return Path(shutil.copytree(made, tmp_path / "study"))
