"""An analysis whose measurements are made by workers is the analysis, whatever becomes of them."""

import json
import multiprocessing
from pathlib import Path

import numpy as np
import onnx
import pytest

import nmtool
from nmtool.errors import SetupError, UsageError
from nmtool.executors import Here
from nmtool.verbs.sweep.plan import Point

OPTIONS = {"eta": 0.15, "trials": 4, "gradient": 0, "draws": 8, "curve": "0,0.15", "gate": "agreement>=0.2"}
PARTS = {"signal and noise", "sensitivity", "information of model", "precision", "confirmation"}  # that workers do


class Idle(Here):
    """Does nothing but the sweep that confirms, which is in no file."""

    def run(self, work, tasks):
        assert all(isinstance(task, Point) for task in tasks)
        return super().run(work, tasks)


@pytest.fixture
def files(tmp_path: Path, classifier: onnx.ModelProto, labelled: dict[str, np.ndarray]) -> tuple[Path, Path]:
    model, data = tmp_path / "model.onnx", tmp_path / "data.npz"
    onnx.save(classifier, model)
    np.savez(data, **labelled)
    return model, data


def test_workers_that_are_killed_in_every_part_change_nothing(files, tmp_path):
    killed = set()

    def kill_a_worker(done, total, part):
        workers = multiprocessing.active_children()
        if done == 2 and part not in killed and workers:
            workers[0].kill()
            killed.add(part)

    points = tmp_path / "points.jsonl"
    here = nmtool.analyze(*files, **OPTIONS, threads=1)
    there = nmtool.analyze(*files, **OPTIONS, jobs=2, threads=2, results=points, progress=kill_a_worker)
    assert killed == PARTS
    assert there.to_json() == here.to_json()
    written = points.read_text()
    lines = [json.loads(line) for line in written.splitlines()]
    entries = [json.dumps([line["setting"], line["point"]]) for line in lines]
    assert len(entries) == len(set(entries))
    options = OPTIONS | {"executor": Idle(), "results": points}
    assert nmtool.analyze(*files, **options).to_json() == here.to_json()  # all of it was measured
    assert points.read_text() == written


def test_workers_that_cannot_be_had_are_said_so(files, labelled):
    with pytest.raises(UsageError, match="no executor is named 'slurm'"):
        nmtool.analyze(*files, **OPTIONS, executor="slurm")
    with pytest.raises(UsageError, match="the data cannot be given to processes"):
        nmtool.analyze(files[0], lambda: labelled, **OPTIONS, jobs=2)


def test_a_measurement_that_loses_every_worker_is_named(files):
    class Unlucky:
        here, threads = False, None

        def run(self, work, tasks):
            raise SetupError(f"3 workers were lost at {tasks[0]}, the last one with exit code -9")
            yield

    with pytest.raises(SetupError, match=r"lost at Draw\(model='model', trial=0"):
        nmtool.analyze(*files, **OPTIONS | {"gate": None}, parts="sensitivity", executor=Unlucky())
