"""Distillation as a whole, on the digits and on small graphs: what is written, how it resumes, what is refused."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import onnx
import pytest
from normed import NORMALIZED

import nmtool
from build import model, weights
from nmtool.errors import InterruptionError, ModelError, TrainingError, UsageError
from nmtool.payloads import PAYLOAD_FIELDS, tensors

pytest.importorskip("torch")

FAST = {"epochs": 2, "batch_size": 32, "lr": 0.003}
ETA = 0.08


@pytest.fixture(scope="module")
def train(digits):
    """160 labelled digits, few enough to train on in a second."""
    with np.load(digits / "digits.npz") as data:
        return {"image": data["image"][:160], "label": data["label"][:160]}


@pytest.fixture
def start(workspace, train):
    """distill of the digits with few samples; keyword arguments replace."""

    def run(output="robust.onnx", model="digits.onnx", data=train, settings=FAST, **options):
        return nmtool.distill(model, data, output, **{"eta": ETA, "settings": settings, "threads": 1, **options})

    return run


def without_values(path):
    proto = onnx.load(path)
    del proto.metadata_props[:]
    for tensor in tensors(proto):
        for field in PAYLOAD_FIELDS:
            tensor.ClearField(field)
    return proto.SerializeToString(deterministic=True)


def test_noise_tolerance_improves_and_only_values_change(start, workspace):
    seen = []
    result = start(settings={"epochs": 6, "batch_size": 16}, progress=lambda *step: seen.append(step))
    assert result.after.mean > result.before.mean + 0.05
    assert result.after.clean > 0.9
    assert without_values("robust.onnx") == without_values("digits.onnx")
    assert result.report.changed == 8
    assert [done for done, _, numbers in seen if numbers] == list(range(1, result.steps + 1))
    onnx.checker.check_model("robust.onnx", full_check=True)


def test_the_original_weights_stay_where_no_step_beats_them(start, workspace):
    result = start(settings=FAST | {"lr": 1.0, "gradient_clip": 1.0, "clip": 0.0, "epochs": 1}, eta=0.02)
    assert result.best_step == 0
    assert result.report.changed == 0
    assert result.after == result.before
    assert any("no step was better under noise" in note for note in result.notes)


def test_the_file_says_how_it_came_about(start):
    result = start()
    (entry,) = [entry for entry in onnx.load("robust.onnx").metadata_props if entry.key == "nmtool.weights"]
    record = json.loads(entry.value)
    assert record["verb"] == "distill"
    assert record["settings"]["noise"] == {"model": "gaussian", "eta": ETA, "relative_to": "range"}
    assert record["settings"]["recipe"]["epochs"] == 2
    assert record["after"]["noisy"] == list(result.after.noisy)


def test_equal_seeds_give_equal_files(start, workspace):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        start(f"{name}.onnx", seed=seed)
    assert (workspace / "a.onnx").read_bytes() == (workspace / "b.onnx").read_bytes()
    assert (workspace / "a.run/log.csv").read_bytes() == (workspace / "b.run/log.csv").read_bytes()
    assert (workspace / "a.onnx").read_bytes() != (workspace / "c.onnx").read_bytes()


@pytest.mark.parametrize("recipe", ["distill", "robust"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_an_interrupted_training_resumes_as_if_nothing_had_been(start, workspace, recipe, optimizer):
    settings = FAST | {"optimizer": optimizer, "augment": ["crop:1"]}
    start("whole.onnx", recipe=recipe, settings=settings)

    def interrupt(done, total, numbers):
        if done == 6:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(InterruptionError, match="interrupted after step 6 of 8") as raised:
        start("parts.onnx", recipe=recipe, settings=settings, progress=interrupt)
    assert raised.value.exit_code == 130
    assert not (workspace / "parts.onnx").exists()
    with pytest.raises(UsageError, match="there is a training in"):
        start("parts.onnx", recipe=recipe, settings=settings)
    start("parts.onnx", recipe=recipe, settings=settings, resume=True)
    assert (workspace / "parts.onnx").read_bytes() == (workspace / "whole.onnx").read_bytes()
    assert (workspace / "parts.run/log.csv").read_bytes() == (workspace / "whole.run/log.csv").read_bytes()


COMMAND = "distill digits.onnx --data train.npz --eta 0.08 --batch-size 16 --epochs 6 --checkpoint-every 3 --resume"


def test_nothing_but_steps_is_lost_when_killed(workspace, train):
    np.savez(workspace / "train.npz", **train)
    start = [sys.executable, "-m", "nmtool", *COMMAND.split()]
    subprocess.run([*start, "-o", "whole.onnx"], check=True, capture_output=True, timeout=120)
    log = workspace / "killed.run/log.csv"
    for _ in range(3):  # each time somewhere else: while it writes, reads, or computes
        had = log.read_text().count("\n") if log.exists() else 0
        process = subprocess.Popen([*start, "-o", "killed.onnx"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and (not log.exists() or log.read_text().count("\n") < had + 9):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run([*start, "-o", "killed.onnx"], check=True, capture_output=True, timeout=120)
    assert (workspace / "killed.onnx").read_bytes() == (workspace / "whole.onnx").read_bytes()
    assert log.read_bytes() == (workspace / "whole.run/log.csv").read_bytes()


def test_a_checkpoint_of_another_training_is_refused(start, workspace):
    start()
    with pytest.raises(UsageError, match=r"with noise .*'eta': 0.08.*, now .*'eta': 0.02"):
        start(eta=0.02, resume=True, force=True)
    (workspace / "robust.run/checkpoint.safetensors").write_bytes(b"not one")
    with pytest.raises(UsageError, match="is no checkpoint"):
        start(resume=True, force=True)


def arrays(path):
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}


def assert_same_weights(first, second, tolerance=1e-5):
    for name, array in arrays(first).items():
        np.testing.assert_allclose(arrays(second)[name], array, rtol=0, atol=tolerance * np.abs(array).max())


def test_accumulated_batches_are_one_large_batch(start):
    settings = {"epochs": 1, "momentum": 0.0, "clip": 0.0}
    common = {"eta": 0.0, "validation": 0.1}
    start("large.onnx", settings=settings | {"batch_size": 32}, **common)
    start("parts.onnx", settings=settings | {"batch_size": 16, "accumulate": 2}, **common)
    assert_same_weights("large.onnx", "parts.onnx")


@pytest.mark.parametrize("recipe", ["distill", "robust"])
def test_two_processes_are_one_that_accumulates(workspace, train, recipe):
    np.savez(workspace / "train.npz", **train)
    options = (
        f"distill digits.onnx --data train.npz --eta 0.08 --batch-size 16 --epochs 2 --recipe {recipe} --threads 1"
    )
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run(
        [*torchrun, "-m", "nmtool", *options.split(), "-o", "two.onnx"], check=True, capture_output=True, timeout=120
    )
    one = [sys.executable, "-m", "nmtool", *options.split(), "-o", "one.onnx", "--accumulate", "2"]
    subprocess.run(one, check=True, capture_output=True, timeout=120)
    assert_same_weights("one.onnx", "two.onnx", 1e-4)


def test_the_teacher_may_run_on_either_engine_and_is_cached(start, workspace):
    start("a.onnx")
    assert len(list((workspace / "a.run").glob("teacher-*.npy"))) == 1
    start("b.onnx", teacher_engine="torch")
    assert_same_weights("a.onnx", "b.onnx")
    start("c.onnx", teacher=["digits.onnx", "digits.onnx"])  # their mean is either of them
    assert_same_weights("a.onnx", "c.onnx")
    start("d.onnx", settings=FAST | {"augment": ["flip"]})
    assert not list((workspace / "d.run").glob("teacher-*.npy"))


def test_another_student_is_trained_and_written(start, workspace):
    start("first.onnx", recipe="noise", settings=FAST | {"lr": 0.001})
    start("second.onnx", student="first.onnx", validation=0.0)
    assert without_values("second.onnx") == without_values("first.onnx")
    assert not np.array_equal(arrays("second.onnx")["conv1.weight"], arrays("first.onnx")["conv1.weight"])


@pytest.mark.parametrize(
    "options",
    [
        {"settings": {"features": 0.1}},
        {"settings": {"sharpness": 0.05}},
        {"settings": {"label_smoothing": 0.1, "alpha": 0.5, "warmup": 0.2, "gradient_clip": 1.0, "weight_decay": 1e-4}},
        {"settings": {"eta_schedule": "random", "draws": 3}},
        {"loss": ["logits=mse", "logits=cosine:0.5"]},
        {"noise": "lognormal"},
        {"noise": "stuck", "eta": 0.02},
        {"per_channel": True, "relative_to": "std", "eta": 0.3},
        {"skip_first": 1, "exclude_ops": ["Gemm"]},
        {"amp": True},
        {"workers": 2},
        {"patience": 0, "settings": {"lr": 1e-9, "epochs": 9}},
        {"validation": 0.0},
        {"metric": "agreement"},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_every_setting_trains(start, options):
    options = options | {"settings": FAST | {"epochs": 1} | options.get("settings", {})}
    result = start(**options)
    assert result.steps >= 1
    if "patience" in options:
        assert result.steps < 9 * 4


def test_labels_are_not_needed(start, train):
    result = start(data={"image": train["image"]})
    assert result.metric == "agreement"
    assert result.before.clean == 1


def test_a_regression_is_trained_by_its_error(workspace):
    w, x = weights(5, 3), weights(200, 5)
    line = model("g (float[N,5] x) => (float[N,3] y) { h = MatMul(x, w)  y = Tanh(h) }", w=w)
    result = nmtool.distill(line, {"x": x}, "r.onnx", eta=0.2, settings={"epochs": 2, "batch_size": 20})
    assert result.metric == "mse"
    assert "loss: mse on y" in result.notes
    assert (result.before.clean, result.before.mean > 0) == (0, True)


@pytest.mark.parametrize("mode", ["update", "frozen", "recalibrate"])
def test_running_statistics(workspace, mode):
    onnx.save(NORMALIZED, "bn.onnx")
    data = {"x": weights(120, 3, 6, 6)}
    settings = {"epochs": 1, "batch_size": 20, "batchnorm": mode}
    nmtool.distill("bn.onnx", data, "out.onnx", eta=0.05, validation=0.0, settings=settings)
    before, after = arrays("bn.onnx"), arrays("out.onnx")
    assert not np.array_equal(after["s"], before["s"])  # its scale is a weight
    for name in "mv":
        assert np.array_equal(after[name], before[name]) == (mode == "frozen")


FIXED = model(
    "g (float[1,4,5] x) => (float[4,5] y) { h = MatMul(x, w)  s = Constant<value_ints=[4,5]>()  y = Reshape(h, s) }",
    w=weights(5, 5),
)
INTEGERS = model("g (int8[N,5] x) => (int32[N,5] y) { y = MatMulInteger(x, w) }", w=np.ones((5, 5), np.int8))
NOTHING = model("g (float[N,5] x) => (float[N,5] y) { y = Relu(x) }")
WIDE = model("g (float[N,1,8,8] x) => (float[N,7] y) { f = Flatten(x)  y = MatMul(f, w) }", w=weights(64, 7))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"recipe": "noise", "data": "unlabelled"}, UsageError, "needs labels"),
        (
            {"data": "other_classes", "recipe": "noise"},
            UsageError,
            "labels run from 0 to 99, the output has 10 classes",
        ),
        ({"data": "other_shape"}, UsageError, "input 'image' takes float32"),
        ({"settings": {"batch_size": 1000}}, UsageError, "a batch has from 1 to"),
        ({"settings": {"speed": 1}}, UsageError, "no setting 'speed'"),
        ({"recipe": "best"}, UsageError, "no recipe is named"),
        ({"loss": ["softmax"]}, UsageError, "a loss is"),
        ({"metric": "bleu"}, UsageError, "no metric is named"),
        ({"validation": 1.0}, UsageError, "share of samples to validate with"),
        ({"eta": -0.1}, UsageError, "eta"),
        ({"validation_trials": 0}, UsageError, "validation_trials must be at least 1"),
        ({"device": "tpu"}, UsageError, "device must be"),
        ({"exclude": ["conv9"]}, UsageError, "no analog node matches"),
        ({"settings": {"augment": ["rotate"]}}, UsageError, "rotate"),
        ({"teacher": ["wide"]}, ModelError, "student and teacher have different outputs"),
        (
            {"model": INTEGERS, "data": {"x": np.ones((9, 5), np.int8)}},
            ModelError,
            "no gradient comes back|real-valued",
        ),
        ({"model": NOTHING, "data": {"x": weights(9, 5)}}, ModelError, "no gradient|no node has analog weights"),
        ({"model": FIXED, "data": {"x": weights(90, 4, 5)}}, ModelError, "batch"),
        ({"output": "nowhere/out.onnx"}, UsageError, "folder of the output does not exist"),
        ({"output": "digits.onnx"}, UsageError, "the output exists"),
    ],
    ids=str,
)
def test_what_cannot_be_trained(start, workspace, train, options, error, message):
    onnx.save(WIDE, "wide.onnx")
    data = {
        "unlabelled": {"image": train["image"]},
        "other_classes": {"image": train["image"], "label": np.arange(160) % 100},
        "other_shape": {"image": train["image"][:, :, :5], "label": train["label"]},
    }
    if isinstance(options.get("data"), str):
        options = options | {"data": data[options["data"]]}
    if options.get("teacher") == ["wide"]:
        options = options | {"teacher": ["wide.onnx"]}
    with pytest.raises(error, match=message):
        start(**options)
    assert not (workspace / "robust.onnx").exists()


def test_a_loss_that_is_not_finite_ends_training_and_keeps_the_last_checkpoint(start, workspace):
    with pytest.raises(TrainingError, match="not finite in step") as raised:
        start(settings={"lr": 1e30, "batch_size": 16, "clip": 0.0, "gradient_clip": 0.0})
    assert raised.value.exit_code == 1
    assert (workspace / "robust.run/checkpoint.safetensors").exists()
    assert not (workspace / "robust.onnx").exists()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_bad_data_in_a_worker_is_named_without_a_traceback(start, train):
    image = train["image"].copy()
    image[7] = np.nan
    with pytest.raises(UsageError, match=r"^sample 7 of .* is not finite in input 'image'$"):
        start(data=train | {"image": image}, workers=2, validation=0.0, settings=FAST | {"batch_size": 2})


def test_progress_shows_the_teacher_first(start):
    seen = []
    start(progress=lambda done, total, numbers: seen.append((done, total, bool(numbers))))
    ahead = [step for step in seen if not step[2]]
    assert ahead[-1][:2] == (160, 160)
    assert seen[: len(ahead)] == ahead


def test_nothing_is_left_when_an_array_was_forgotten(start, workspace, monkeypatch):
    from nmtool.training.session import Session

    weights_of = Session.weights
    monkeypatch.setattr(
        Session, "weights", lambda self: {n: a for n, a in weights_of(self).items() if n != "conv2.bias"}
    )
    with pytest.raises(ModelError, match=r"trained, but without new values: 'conv2\.bias'"):
        start()
    assert not (workspace / "robust.onnx").exists()


def in_half_precision(proto, batch):
    """The model with all of it in float16, and a fixed batch."""
    for tensor in proto.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = onnx.numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
        value.type.tensor_type.shape.dim[0].dim_value = batch
    del proto.graph.value_info[:]
    return proto


@pytest.mark.parametrize("engine", ["onnxruntime", "torch"])
def test_half_precision_is_trained_in_float32_and_its_rounding_is_scored(start, workspace, engine):
    half = in_half_precision(onnx.load("digits.onnx"), batch=4)
    onnx.save(half, "half.onnx")
    result = start(model="half.onnx", teacher_engine=engine, settings=FAST | {"epochs": 4, "batch_size": 16})
    assert result.after.mean > result.before.mean
    assert result.rounded is not None
    assert abs(result.rounded.clean - result.after.clean) < 0.1
    assert all(change.dtype == "float16" and change.rounding > 0 for change in result.report.changes)
    assert without_values("robust.onnx") == without_values("half.onnx")


def test_nothing_is_rounded_in_float32(start):
    assert start().rounded is None
