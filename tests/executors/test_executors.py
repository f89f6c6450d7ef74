"""Executors on one machine: every task's result comes once, whatever becomes of the workers."""

import importlib.util

import pytest
from chores import Chore

from nmtool import executors
from nmtool.errors import SetupError, UsageError

TASKS = list(range(12))


def done(chore, tasks=TASKS, name="processes", **options):
    with executors.connect(name, **{"jobs": 2, "threads": None} | options) as executor:
        return sorted(executor.run(chore, tasks))


@pytest.mark.parametrize("jobs", [None, 1, 2])
def test_every_task_comes_once_with_its_result(folder, jobs):
    assert done(Chore(folder), jobs=jobs) == [(task, task**2 + 1000) for task in TASKS]
    assert len(list(folder.glob("opened-*"))) == (jobs or 1)  # the work reaches a worker once


def test_a_task_that_loses_its_worker_is_done_by_another(folder):
    assert done(Chore(folder, kills={0: 1, 7: 2, 11: 1})) == [(task, task**2 + 1000) for task in TASKS]
    assert (folder / "killed-7").read_text() == "xx"


def test_a_task_that_loses_every_worker_ends_the_run(folder):
    with pytest.raises(SetupError, match="3 workers were lost at 5, the last one with exit code -9"):
        done(Chore(folder, kills={5: 9}))


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_task_that_cannot_be_done_says_why(folder, jobs):
    with pytest.raises(UsageError, match="not this one: 3") as caught:
        done(Chore(folder, refuses=3), jobs=jobs)
    assert caught.value.hint == "another"


def test_no_task_is_no_work(folder):
    assert done(Chore(folder), tasks=[]) == []


@pytest.mark.parametrize("name", ["slurm", "ray", "dask://", "processes://"])
def test_an_unknown_executor_is_named(folder, name):
    with pytest.raises(UsageError, match=f"no executor is named '{name}'"):
        done(Chore(folder), name=name)


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="ray is installed")
def test_without_ray_its_installation_is_the_hint(folder):
    with pytest.raises(SetupError) as caught:
        done(Chore(folder), name="ray://localhost:10001")
    assert "nmtool[ray]" in caught.value.hint
