"""Results on disk survive what happens to processes and refuse what would mix experiments."""

import dataclasses
import json
import math

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from nmtool.errors import UsageError
from nmtool.verbs.sweep.plan import Point
from nmtool.verbs.sweep.store import Record, Setting, Store

SETTING = Setting(
    model="a",
    model_sha256="1",
    noise={"model": "gaussian", "eta": 1.0},
    seed=0,
    injection={},
    data_sha256="2",
    samples=10,
    metric="top1",
    output="y",
    redraw="set",
    batch_size=64,
)


def record(eta: float, trial: int = 0, value: float = 0.5) -> Record:
    return Record(SETTING, Point("a", eta, trial), eta, value, 0.01, "0.1", "runtime 1", True)


def written(path, *records: Record) -> bytes:
    with Store(path) as store:
        for each in records:
            store.append(each)
    return path.read_bytes()


@given(st.floats(0, 1), st.integers(0, 2**32 - 1), st.floats())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_records_come_back_exactly(tmp_path, eta, trial, value):
    path = tmp_path / "r.jsonl"
    path.unlink(missing_ok=True)
    written(path, record(eta, trial, value))
    with Store(path) as store:
        (back,) = store.records.values()
    if math.isfinite(value):
        assert back == record(eta, trial, value)
    else:
        assert math.isnan(back.value)


def test_every_line_is_standard_json(tmp_path):
    lines = written(tmp_path / "r.jsonl", record(0.1), record(0.2, value=math.nan)).decode().splitlines()
    first, second = (json.loads(line, parse_constant=pytest.fail) for line in lines)
    assert first["setting"]["seed"] == 0
    assert first["point"] == {"model": "a", "eta": 0.1, "trial": 0}
    assert second["value"] is None


def test_a_torn_last_line_is_dropped_wherever_it_was_torn(tmp_path):
    path = tmp_path / "r.jsonl"
    whole = written(path, record(0.1), record(0.2))
    first = whole.index(b"\n") + 1
    for cut in (*range(first, len(whole) - 3, 20), *range(len(whole) - 3, len(whole))):
        path.write_bytes(whole[:cut])
        with Store(path) as store:
            assert list(store.records) == [Point("a", 0.1, 0)]
            store.append(record(0.2))
        assert path.read_bytes() == whole


@pytest.mark.parametrize("line", [b"hello\n", b"{}\n", b"[1]\n", b'{"schema": "other/1"}\n', b"\xff\xfe\n"])
def test_a_file_of_something_else_is_left_alone(tmp_path, line):
    path = tmp_path / "r.jsonl"
    path.write_bytes(line)
    with pytest.raises(UsageError, match="line 1"):
        Store(path)
    assert path.read_bytes() == line


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"model_sha256": "other"},
        {"noise": {"model": "stuck", "eta": 1.0}},
        {"injection": {"skip_last": 1}},
        {"output": "z"},
        {"metric": "top5"},
        {"data_sha256": "other"},
        {"samples": 11},
        {"redraw": "batch"},
    ],
)
def test_another_experiment_is_refused_and_named(tmp_path, change):
    written(tmp_path / "r.jsonl", record(0.1))
    with Store(tmp_path / "r.jsonl") as store, pytest.raises(UsageError, match=next(iter(change))) as caught:
        store.check(dataclasses.replace(SETTING, **change))
    assert caught.value.hint is not None


def test_other_models_and_batch_sizes_may_share_a_file(tmp_path):
    written(tmp_path / "r.jsonl", record(0.1))
    with Store(tmp_path / "r.jsonl") as store:
        store.check(SETTING)
        store.check(dataclasses.replace(SETTING, model="b", model_sha256="3", seed=9))
        store.check(dataclasses.replace(SETTING, batch_size=1))


def test_batch_size_matters_when_every_batch_has_a_draw(tmp_path):
    per_batch = dataclasses.replace(SETTING, redraw="batch")
    written(tmp_path / "r.jsonl", dataclasses.replace(record(0.1), setting=per_batch))
    with Store(tmp_path / "r.jsonl") as store, pytest.raises(UsageError, match="batch_size"):
        store.check(dataclasses.replace(per_batch, batch_size=1))


def test_a_sweep_that_measures_nothing_leaves_no_file(tmp_path):
    with Store(tmp_path / "r.jsonl"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_path_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="cannot write"):
        Store(tmp_path / "missing" / "r.jsonl")
