"""The training log: what was reported is there, once, whatever was killed in between."""

import csv
import math
import sys

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from nmtool.errors import UsageError

torch = pytest.importorskip("torch")
from nmtool.training.log import TrainingLog

COLUMNS = ["loss", "accuracy"]


@pytest.fixture(autouse=True)
def without_tensorboard(request, monkeypatch):
    if "tensorboard" not in request.node.name:
        monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)


def report(log: TrainingLog, steps: range) -> None:
    for step in steps:
        log.report(step, {"loss": 1 / (step + 1)} | ({"accuracy": step / 7} if step % 2 else {}))


def uninterrupted(folder, steps: range) -> bytes:
    folder.mkdir()
    with TrainingLog(folder, COLUMNS) as log:
        report(log, steps)
    return log.path.read_bytes()


def test_rows_are_on_disk_when_reported_and_cells_may_be_empty(tmp_path):
    with TrainingLog(tmp_path, COLUMNS) as log:
        log.report(10, {"accuracy": 0.5, "loss": 0.1})
        assert (tmp_path / "log.csv").read_bytes() == b"step,loss,accuracy\n10,0.1,0.5\n"
        log.report(20, {"loss": 3})
        assert log.path.read_bytes().endswith(b"\n20,3,\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv"]


@given(st.lists(st.floats(), min_size=1))
def test_numbers_are_read_back_exactly(tmp_path_factory, values):
    with TrainingLog(tmp_path_factory.mktemp("log"), COLUMNS) as log:
        for step, value in enumerate(values):
            log.report(step, {"loss": value, "accuracy": np.float32(value) if abs(value) < 1e38 else 0})
    with log.path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for step, (row, value) in enumerate(zip(rows, values, strict=True)):
        assert int(row["step"]) == step
        assert float(row["loss"]) == value or (math.isnan(value) and row["loss"] == "nan")
        assert abs(value) >= 1e38 or math.isnan(value) or np.float32(row["accuracy"]) == np.float32(value)


@pytest.mark.parametrize("last", [-1, 0, 4, 7, 9])
def test_a_resumed_log_is_that_of_one_run(tmp_path, last):
    whole = uninterrupted(tmp_path / "whole", range(12))
    uninterrupted(tmp_path / "killed", range(10))
    with TrainingLog(tmp_path / "killed", COLUMNS, resume=last) as log:
        report(log, range(last + 1, 12))
    assert log.path.read_bytes() == whole


def test_a_log_cut_anywhere_is_resumed(tmp_path):
    whole = uninterrupted(tmp_path / "whole", range(4))
    path = tmp_path / "log.csv"
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        last = max(whole[:size].count(b"\n") - 2, -1)
        with TrainingLog(tmp_path, COLUMNS, resume=last) as log:
            report(log, range(last + 1, 4))
        assert path.read_bytes() == whole


def test_a_log_that_is_gone_starts_anew_and_so_does_a_new_training(tmp_path):
    with TrainingLog(tmp_path, COLUMNS, resume=5) as log:
        log.report(6, {})
    assert log.path.read_bytes() == b"step,loss,accuracy\n6,,\n"
    with TrainingLog(tmp_path, ["other, name"]) as log:
        log.report(0, {"other, name": 1})
    assert log.path.read_bytes() == b'step,"other, name"\n0,1\n'


def test_a_log_is_not_lost_when_it_cannot_be_resumed(tmp_path):
    before = uninterrupted(tmp_path / "log", range(3))
    with pytest.raises(UsageError, match="other columns: step,loss,accuracy, now step,loss"):
        TrainingLog(tmp_path / "log", ["loss"], resume=1)
    assert (tmp_path / "log" / "log.csv").read_bytes() == before


@pytest.mark.parametrize("content", [b"step,loss,accuracy\nx,1,2\n", b"\xff\xfe\n"])
def test_files_that_are_no_logs(tmp_path, content):
    (tmp_path / "log.csv").write_bytes(content)
    with pytest.raises(UsageError, match=r"log\.csv is not the log of a training"):
        TrainingLog(tmp_path, COLUMNS, resume=0)


def test_folders_that_are_not_there(tmp_path):
    with pytest.raises(UsageError, match=r"cannot write .*log\.csv"):
        TrainingLog(tmp_path / "missing", COLUMNS)


def test_a_number_without_a_column(tmp_path):
    with TrainingLog(tmp_path, COLUMNS) as log, pytest.raises(ValueError, match="'los'"):
        log.report(1, {"los": 1.0})
    assert log.path.read_bytes() == b"step,loss,accuracy\n"


def test_tensorboard_shows_every_step_once(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for columns, resume, steps in (
        (COLUMNS, None, range(100, 110)),
        (COLUMNS, None, range(8)),
        (COLUMNS, 4, range(5, 12)),
    ):
        with TrainingLog(tmp_path, columns, resume) as log:
            report(log, steps)
    shown = EventAccumulator(str(tmp_path)).Reload()
    losses = shown.Scalars("loss")
    assert [event.step for event in losses] == list(range(12))
    np.testing.assert_allclose([event.value for event in losses], 1 / (np.arange(12) + 1))
    assert [event.step for event in shown.Scalars("accuracy")] == list(range(1, 12, 2))
