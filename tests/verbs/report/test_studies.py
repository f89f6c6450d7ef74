"""Points of sweeps in charts: grouped, each once, and a tolerance only where it can be told."""

import pytest

from nmtool.verbs.report.sources import Results, Sources
from nmtool.verbs.report.studies import studies
from nmtool.verbs.sweep.plan import Point
from nmtool.verbs.sweep.store import Record, Setting


def record(model="m", eta=0.0, trial=0, value=1.0, **setting):
    fixed = {"model_sha256": "a" * 64, "noise": {"model": "gaussian", "relative_to": "range"}, "seed": 0}
    rest = {"injection": {}, "data_sha256": "d", "samples": 10, "metric": "top1", "output": "y", "redraw": "set"}
    made = Setting(**({"model": model, **fixed, **rest, "batch_size": 64} | setting))
    return Record(made, Point(model, eta, trial), 1.0, value, 0.1, "0", "r", True)


def grid(drop_per_eta=1.0, etas=(0.0, 0.1, 0.2), trials=3, **setting):
    return [
        record(eta=eta, trial=trial, value=1 - drop_per_eta * eta, **setting)
        for eta in etas
        for trial in range(trials if eta else 1)
    ]


def of(*files):
    return list(studies(Sources("x", results=[Results(f"{k}.jsonl", tuple(each)) for k, each in enumerate(files)])))


def test_equal_points_in_two_files_count_once():
    (study,) = of(grid(), grid(trials=4))
    assert len(study.result.points) == 1 + 2 * 4


@pytest.mark.parametrize("change", [{"metric": "mse"}, {"data_sha256": "e"}, {"samples": 5}, {"redraw": "batch"}])
def test_what_cannot_be_compared_is_apart(change):
    assert len(of(grid(), grid(**change))) == 2


def test_models_of_one_name_are_told_apart():
    (study,) = of(grid(), grid(model_sha256="b" * 64))
    assert study.result.models == ["m (aaaaaaaa, seed 0)", "m (bbbbbbbb, seed 0)"]


def test_the_tolerance_is_where_the_line_crosses_the_drop():
    (study,) = of(grid())
    tolerance = study.tolerance("m", 0.05)
    assert tolerance is not None
    assert tolerance.eta == pytest.approx(0.05)


def test_trials_that_are_not_complete_are_left_out_of_the_tolerance():
    steep = [record(eta=0.1, trial=3, value=0.0)]  # as a killed sweep leaves it
    (study,) = of([*grid(), *steep])
    assert study.tolerance("m", 0.05).eta == pytest.approx(0.05)
    assert [row.summary.trials for row in study.result.summary()] == [1, 4, 3]


@pytest.mark.parametrize(
    "points",
    [
        grid()[1:],  # no clean value
        grid()[:1],  # nothing else
        [record(), record(eta=0.1, trial=0), record(eta=0.2, trial=1)],  # no trial has both levels
        [record(value=float("nan")), *grid()[1:]],
        grid(metric="module:function"),  # nobody knows which way is better
    ],
)
def test_no_tolerance_is_made_up(points):
    (study,) = of(points)
    assert study.tolerance("m", 0.05) is None
