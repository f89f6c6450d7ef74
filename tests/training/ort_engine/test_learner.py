"""The learner and the protocol of the worker, with a stand-in for the engine: no onnxruntime-training is needed."""

import os
import signal
import sys

import numpy as np
import pytest

from build import model, weights
from nmtool.errors import ModelError, SetupError
from nmtool.model import load
from nmtool.noise import noise_model
from nmtool.recipes import Recipe

torch = pytest.importorskip("torch")
from nmtool.training.batches import MicroBatch
from nmtool.training.learner import Draw
from nmtool.training.objective import resolve
from nmtool.training.ort_engine.graph import training_graph
from nmtool.training.ort_engine.learner import WORKER, OrtLearner
from nmtool.training.student import Placement, Student

# The worker with another engine: a step takes the rate off every weight, the loss is the number of arrays it was sent,
# and whatever it was fed is its gradient.
STAND_IN = f"""
import importlib.util, os, sys
import numpy as np
spec = importlib.util.spec_from_file_location("worker", {str(WORKER)!r})
worker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(worker)

class Training:
    def __init__(self, request):
        if "u" in request["trained"]:
            raise RuntimeError("The gradient builder has not been registered: Foo for node bar")
        assert os.path.exists(request["path"])
        print("noise on stdout must not reach the protocol", request["optimizer"])
        self.weights, self.fed, self.request = {{}}, {{}}, request
    def backward(self, request, arrays):
        sent = {{n[7:]: a for n, a in arrays.items() if n.startswith("weight:")}}
        self.weights.update(sent)
        self.fed = {{n[6:]: a for n, a in arrays.items() if n.startswith("input:")}}
        return {{"loss": np.array(float(len(sent)))}}
    def gradients(self, request, arrays):
        return self.fed
    def update(self, request, arrays):
        self.weights = {{n: a - np.float32(request["rate"]) for n, a in self.weights.items()}}
        return {{"norm": np.array(3.0)}} | {{"weight:" + n: a for n, a in self.weights.items()}}
    def save(self, request, arrays):
        return {{"state": np.frombuffer(b"abc", np.uint8)}}
    def restore(self, request, arrays):
        assert arrays["state"].tobytes() == b"abc"
        return {{}}
    def die(self, request, arrays):
        os.abort()

worker.Training = Training
worker.main()
"""
NOISE = noise_model("gaussian", {"eta": 1.0})
BATCH = MicroBatch(np.arange(6), {"x": torch.tensor(weights(6, 3))}, None)
TARGETS = {"y": torch.zeros(6, 2)}


def start(array="w", recipe=None, command=None):
    proto = model(f"g (float[N,3] x) => (float[N,2] y) {{ y = MatMul(x, {array}) }}", **{array: weights(3, 2)})
    recipe = recipe or Recipe(momentum=0.0)
    student = Student(load(proto), NOISE, Placement(), 1)
    graph = training_graph(load(proto), NOISE, Placement(), 1, resolve(load(proto), [], recipe), {array})
    return student, OrtLearner(student, graph, recipe, command or [sys.executable, "-c", STAND_IN], 1)


def backward(learner, **draw):
    drawn = Draw(**{"number": 0, "trial": 4, "mirrored": False, "eta": 0.1} | draw)
    return learner.backward(BATCH, TARGETS, drawn, 0.5, last=True)


def values(student):
    return student.graph.get_parameter(student.names["w"])


def test_weights_go_there_once_and_come_back_after_each_step():
    student, learner = start()
    before = values(student).detach().numpy().copy()
    assert [backward(learner), backward(learner)] == [1.0, 0.0]  # sent, and known
    assert learner.update(0.25) == 3.0
    np.testing.assert_array_equal(values(student).detach().numpy(), before - np.float32(0.25))
    assert backward(learner) == 0.0
    with torch.no_grad():
        values(student).clamp_(-0.1, 0.1)
    assert backward(learner) == 1.0  # what was clipped here is sent
    learner.update(0.0)
    assert values(student).detach().abs().max() <= 0.1


def test_what_the_engine_is_fed():
    student, learner = start()
    backward(learner, mirrored=True)
    fed = learner.gradients()
    np.testing.assert_array_equal(fed.pop("x"), BATCH.feeds["x"])
    np.testing.assert_array_equal(fed.pop("nmtool::target0"), TARGETS["y"])
    extent = float(np.ptp(values(student).detach().numpy()))
    assert fed.pop("w::std") == pytest.approx(-extent)  # the other half of an antithetic pair
    assert {name: float(array) for name, array in fed.items()} == {
        "nmtool::share": 0.5,
        "noise_trial": 4.0,
        "noise_scale": pytest.approx(0.1),
    }


def test_after_a_resumption_all_weights_are_sent_again():
    _, learner = start()
    backward(learner)
    state = learner.state()
    learner.restore(state)
    assert backward(learner) == 1.0


def test_an_engine_that_cannot_build_the_gradient_says_where():
    with pytest.raises(ModelError, match=r"no gradient for Foo: node 'bar'"):
        start("u")


def test_an_engine_that_does_not_start():
    with pytest.raises(SetupError, match=r"does not start: .*no_such_module") as raised:
        start(command=[sys.executable, "-c", "import no_such_module"])
    assert "nmtool engine install ort-training --force" in raised.value.hint


def test_an_engine_that_fails_in_the_middle():
    _, learner = start()
    with pytest.raises(ModelError, match="the engine ort failed: its process ended with code"):
        learner._call("die")


def test_the_engine_survives_a_request_to_end():
    """Ctrl-C in a terminal reaches all processes; the worker is needed to finish the step."""
    _, learner = start()
    os.kill(learner._worker._process.pid, signal.SIGINT)
    assert backward(learner) == 1.0


def test_no_files_are_left(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    _, learner = start()
    assert list(tmp_path.glob("nmtool-ort-*"))
    del learner
    assert not list(tmp_path.iterdir())
