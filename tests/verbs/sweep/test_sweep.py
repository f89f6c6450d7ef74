"""The sweep as a whole, on a small model made by hand."""

import csv
import dataclasses
import json
import logging
import math

import numpy as np
import onnx
import pytest

from nmtool.data import DataOptions
from nmtool.errors import ModelError, SetupError, UsageError
from nmtool.noise.gaussian import Gaussian
from nmtool.verbs.inject import inject
from nmtool.verbs.run import run
from nmtool.verbs.sweep import SweepResult, sweep

ETAS = "0:1:0.25"


def values(result: SweepResult) -> dict[tuple[str, float, int], float]:
    return {(r.point.model, r.point.eta, r.point.trial): r.value for r in result.points}


def accuracy(outputs: np.ndarray, labels: np.ndarray) -> float:
    return float((outputs.argmax(axis=1) == labels).mean())


def test_every_point_is_what_running_the_model_there_gives(model_file, data_file, samples):
    result = sweep(model_file, data_file, etas=ETAS, trials=3)
    assert len(result.points) == 1 + 4 * 3
    for record in result.points:
        outputs = run(model_file, samples["x"], trial=record.point.trial, scale=record.point.eta / 0.5)["y"]
        assert record.value == pytest.approx(accuracy(outputs, samples["labels"]))
        assert record.scale == record.point.eta / 0.5  # the file's own noise is 0.5 at scale 1
    accuracies = [row.summary.mean for row in result.summary()]
    assert accuracies[0] > 0.9
    assert accuracies[-1] < accuracies[0]


def test_redraw_batch_gives_batch_b_of_trial_t_its_own_sample(model_file, data_file, samples):
    options = DataOptions(batch_size=40)
    result = sweep(model_file, data_file, etas=[0.5], trials=2, redraw="batch", data_options=options)
    for trial in range(2):
        parts = [
            run(model_file, samples["x"][start : start + 40], trial=trial * 3 + batch)["y"]
            for batch, start in enumerate((0, 40, 80))
        ]
        expected = accuracy(np.concatenate(parts), samples["labels"])
        assert values(result)["noisy", 0.5, trial] == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["top1", "top2", "agreement", "mse", "cosine"])
def test_two_processes_give_exactly_what_one_gives(model_file, data_file, tmp_path, metric):
    one = sweep(model_file, data_file, etas=ETAS, trials=2, metric=metric, results=tmp_path / "1.jsonl")
    two = sweep(model_file, data_file, etas=ETAS, trials=2, metric=metric, results=tmp_path / "2.jsonl", jobs=2)
    assert values(one) == values(two)
    lines = [sorted((tmp_path / name).read_text().splitlines()) for name in ("1.jsonl", "2.jsonl")]
    without_time = [[json.loads(line) | {"seconds": 0} for line in each] for each in lines]
    assert without_time[0] == without_time[1]


def test_several_models_of_different_batch_dimension_share_a_sweep(noisy_model, model_file, data_file):
    models = {"free": model_file, "fixed": noisy_model(batch=7), "weak": noisy_model(eta=0.25)}
    result = sweep(models, data_file, etas=ETAS, trials=2)
    assert result.models == ["free", "fixed", "weak"]
    by_model = {label: [r.value for r in result.points if r.point.model == label] for label in models}
    assert by_model["free"] == by_model["fixed"]
    assert by_model["free"] == pytest.approx(by_model["weak"])  # the level counts, not the scale


@pytest.fixture
def plain_model() -> onnx.ModelProto:
    text = """<ir_version: 10, opset_import: ["": 21]> g (float[N, 6] x) => (float[N, 4] y) {
        h = MatMul(x, A)  r = Relu(h)  y = MatMul(r, B) }"""
    model = onnx.parser.parse_model(text)
    rng = np.random.default_rng(5)
    for name, shape in (("A", (6, 8)), ("B", (8, 4))):
        model.graph.initializer.append(onnx.numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name))
    return model


@pytest.mark.parametrize("library", [True, False])
@pytest.mark.parametrize("noise", ["gaussian", Gaussian(eta=0.3, relative_to="std"), "lognormal", "stuck"])
def test_a_plain_model_is_swept_as_if_it_were_injected_at_every_level(plain_model, samples, noise, library):
    options = {"skip_last": 1, "include": [], "per_channel": False}  # the latter two are the defaults
    result = sweep(
        plain_model,
        samples["x"],
        etas=[0.1, 0.4],
        noise=noise,
        seed=7,
        trials=2,
        metric="mse",
        injection=options,
        library=library,
    )
    clean = run(plain_model, samples["x"])["y"]
    for record in result.points[1:]:
        model = noise if isinstance(noise, str) else dataclasses.replace(noise, eta=record.point.eta)
        noisy = inject(plain_model, noise=model, eta=record.point.eta, seed=7, skip_last=1).model
        outputs = run(noisy, samples["x"], trial=record.point.trial, library=library)["y"]
        assert record.value == pytest.approx(float(((outputs - clean) ** 2).mean()), rel=1e-3)
        assert record.library == library
    setting = result.points[0].setting
    assert (setting.seed, setting.injection, setting.noise["eta"]) == (7, {"skip_last": 1}, 1.0)


def test_labels_of_models_are_their_file_names_made_distinct(model_file, noisy_model, data_file):
    result = sweep([model_file, model_file, noisy_model()], data_file, etas=[0.5], trials=1)
    assert result.models == ["noisy", "noisy-2", "model"]


def test_a_metric_against_the_clean_model_needs_no_labels(model_file, samples):
    result = sweep(model_file, samples["x"], etas=[0.5], trials=2, metric="mse")
    assert values(result)["noisy", 0.0, 0] == 0.0
    assert values(result)["noisy", 0.5, 1] > 0.0
    assert not result.higher_is_better


def test_the_clean_model_is_evaluated_once_and_progress_is_reported(model_file, data_file):
    seen = []
    sweep(model_file, data_file, etas="0,0.5", trials=3, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, 4) for n in range(1, 5)]


def test_records_say_what_was_measured(model_file, data_file):
    record = sweep(model_file, data_file, etas=[0.5], trials=1).points[-1]
    setting = record.setting
    assert (setting.seed, setting.samples, setting.metric, setting.output) == (0, 90, "top1", "y")
    assert setting.noise == {"model": "gaussian", "eta": 0.5, "relative_to": "range"}
    assert len(setting.model_sha256) == len(setting.data_sha256) == 64
    assert record.runtime.startswith("onnxruntime ")


def test_json_and_csv_have_the_summary(model_file, data_file, tmp_path):
    result = sweep(model_file, data_file, etas=ETAS, trials=2)
    document = json.loads(json.dumps(result.to_json()))
    result.write_csv(tmp_path / "s.csv")
    with (tmp_path / "s.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["mean"]) for row in rows] == [row["mean"] for row in document["summary"]]
    assert len(document["points"]) == 9


def test_plots_are_written_and_reproducible(model_file, data_file, tmp_path):
    result = sweep({"a": model_file, "b": model_file}, data_file, etas=ETAS, trials=2)
    result.plot(tmp_path / "1.svg", tmp_path / "1.png")
    result.plot(tmp_path / "2.svg")
    assert (tmp_path / "1.svg").read_bytes() == (tmp_path / "2.svg").read_bytes()
    assert (tmp_path / "1.png").stat().st_size > 10_000
    with pytest.raises(UsageError, match=r"plot\.docx"):
        result.plot(tmp_path / "plot.docx")


def test_the_tolerance_is_where_the_mean_leaves_the_drop(model_file, data_file):
    result = sweep(model_file, data_file, etas="0:2:0.25", trials=5)
    found = result.tolerance(0.1)["noisy"]
    means = {row.eta: row.summary.mean for row in result.summary()}
    assert 0 < found.eta < 2
    assert means[math.floor(found.eta / 0.25) * 0.25] >= means[0.0] - 0.1 - 1e-12
    with pytest.raises(UsageError, match="negative"):
        result.tolerance(-0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "f2"}, "no metric"),
        ({"output": "z"}, "no output 'z'"),
        ({"etas": "1:0:1"}, "range"),
        ({"trials": 0}, "trials"),
        ({"jobs": 0}, "jobs"),
        ({"backend": "abacus"}, "no backend"),
        ({"trials": 2**31, "redraw": "batch", "data_options": DataOptions(batch_size=30)}, "noise samples"),
        ({"metric": "top9"}, "9 classes"),
        ({"injection": {"skip": 1}}, "no option 'skip'"),
        ({"injection": {"eta": 0.5}}, "no option 'eta'"),
    ],
)
def test_mistakes_are_named(model_file, data_file, options, message):
    with pytest.raises(UsageError, match=message):
        sweep(model_file, data_file, **options)


def test_a_failure_in_a_worker_reaches_the_caller_with_its_hint(model_file, data_file):
    with pytest.raises(UsageError, match="9 classes"):
        sweep(model_file, data_file, metric="top9", jobs=2)


def test_data_that_cannot_be_given_to_processes(model_file, samples):
    with pytest.raises(UsageError, match="processes"):
        sweep(model_file, lambda: samples, etas=[0.5], trials=1, jobs=2)


def test_labels_that_a_metric_needs_must_be_there(model_file, samples):
    with pytest.raises(UsageError, match="needs labels"):
        sweep(model_file, samples["x"])


def test_a_model_that_draws_by_itself_cannot_be_swept(noisy_model, data_file):
    with pytest.raises(UsageError, match="by itself"):
        sweep(noisy_model(fresh=True), data_file)


def test_broken_provenance_is_a_model_error(noisy_model, data_file):
    model = noisy_model()
    model.metadata_props[-1].value = "{"
    with pytest.raises(ModelError, match=r"nmtool\.provenance"):
        sweep(model, data_file)


def test_noise_that_is_the_runtimes_own_is_warned_about(noisy_model, data_file, caplog, monkeypatch):
    monkeypatch.setenv("NMTOOL_OPS_LIBRARY", "")
    with caplog.at_level(logging.WARNING):
        sweep(noisy_model(exact=False), data_file, etas=[0.1], trials=1, library=False)
    assert "no trial can be repeated" in caplog.text


def test_an_added_trial_costs_only_itself(model_file, data_file, tmp_path):
    done: list[int] = []
    for trials in (2, 3, 3):
        done.append(0)
        sweep(
            model_file,
            data_file,
            etas=ETAS,
            trials=trials,
            results=tmp_path / "r.jsonl",
            progress=lambda n, _: done.__setitem__(-1, n),
        )
    assert done == [9, 4, 0]


def test_another_experiment_in_the_results_file_is_refused(model_file, data_file, tmp_path):
    sweep(model_file, data_file, etas=[0.5], trials=1, results=tmp_path / "r.jsonl")
    with pytest.raises(UsageError, match="another experiment"):
        sweep(
            model_file, data_file, etas=[0.5], trials=1, results=tmp_path / "r.jsonl", data_options=DataOptions(limit=9)
        )


def test_a_worker_that_dies_is_reported(model_file, data_file, tmp_path, monkeypatch):
    (tmp_path / "deadly.py").write_text("import os\ndef metric(outputs, labels, clean): os._exit(9)\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SetupError, match="exit code 9"):
        sweep(model_file, data_file, etas=[0.5], trials=1, metric="deadly:metric", jobs=2)


def test_the_model_in_use_is_a_file_as_given(model_file, data_file):
    before = model_file.read_bytes()
    sweep(model_file, data_file, etas=[0.5], trials=1)
    assert model_file.read_bytes() == before
    onnx.checker.check_model(str(model_file))


def test_noise_options_that_do_not_apply_to_a_noisy_model_are_named(model_file, data_file, caplog):
    sweep(model_file, data_file, etas="0.1", trials=1)
    assert "noise options" not in caplog.text
    sweep(model_file, data_file, etas="0.1", trials=1, seed=5)
    assert "noise options" in caplog.text
