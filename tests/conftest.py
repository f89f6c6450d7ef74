"""What tests of every part share."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Result:
    """What a run of the command line left behind."""

    code: int
    out: str
    err: str


Cli = Callable[..., Result]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run `nmtool <arguments>` in this process, as the console script does."""

    def run(*arguments: object) -> Result:
        from nmtool.cli.app import main

        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(int(stop.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the digits example: digits.onnx, digits.npz, and of the model noisy.onnx and digits-bn.onnx.

    noisy.onnx is at eta 0.05. digits-bn.onnx computes the same as digits.onnx, with BatchNormalization nodes.
    """
    import numpy as np
    import onnx
    from normed import with_batch_norm

    import nmtool

    folder = tmp_path_factory.mktemp("digits")
    shutil.copy(ROOT / "examples/digits/digits.onnx", folder)
    data = [folder / "digits.npz", folder / "digits-train.npz"]
    subprocess.run([sys.executable, ROOT / "examples/digits/data.py", *data], check=True)
    nmtool.inject(folder / "digits.onnx", eta=0.05).save(folder / "noisy.onnx")
    feeds = {"image": np.load(folder / "digits.npz")["image"]}
    onnx.save(with_batch_norm(onnx.load(folder / "digits.onnx"), feeds), folder / "digits-bn.onnx")
    return folder


@pytest.fixture
def workspace(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh copy of that folder, which is the current directory of the test."""
    shutil.copytree(digits, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def ort_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """onnxruntime-training: where it is not installed it is, for this run, if packages can be had."""
    import nmtool
    from nmtool.engines import installation
    from nmtool.errors import SetupError

    with pytest.MonkeyPatch.context() as patch:
        try:
            installation("ort-training")
        except SetupError:
            patch.setenv("NMTOOL_ENGINES", str(tmp_path_factory.mktemp("engines")))
            try:
                nmtool.install_engine("ort-training")
            except SetupError as error:
                pytest.skip(error.message)
        yield
