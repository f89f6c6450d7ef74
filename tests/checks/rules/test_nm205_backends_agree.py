"""Every backend computes the same."""

import numpy as np
import onnx
import pytest
from checking import errors, messages, outcome, warnings

import nmtool
from build import model, weights
from nmtool import backends
from nmtool.backends import reference
from nmtool.model import load, to_proto
from nmtool.noise import Gaussian

RULE = "nm205_backends_agree"
TWO = ["onnxruntime", "reference"]
CHAIN = """g (float[N,8] x) => (float[N,4] y) {
  [one] a = MatMul(x, v)
  [act] b = Relu(a)
  [skip] c = Add(b, x)
  [two] y = MatMul(c, w) }"""
DENSE = model(CHAIN, v=weights(8, 8), w=weights(8, 4))


class Fake:
    """A backend that changes the model before it runs it."""

    def __init__(self, change):
        self.change = change

    def version(self):
        return "fake 1"

    def load(self, source):
        proto = to_proto(load(source))
        self.change(proto)
        loaded = reference.load(proto)
        loaded.description = "fake 1"
        return loaded


@pytest.fixture
def fake(monkeypatch):
    def install(change):
        real = backends.find
        monkeypatch.setitem(backends.BACKENDS, "fake", "fake")
        monkeypatch.setattr(backends, "find", lambda name: Fake(change) if name == "fake" else real(name))

    return install


def test_backends_that_agree_are_noted_with_figures():
    found = outcome(RULE, DENSE, backends=TWO, noise=Gaussian(eta=0.1))
    assert found.status == "passed"
    notes = [finding for finding in found.findings if "agrees with onnx reference evaluator" in finding.message]
    assert ["clean" in note.message for note in notes] == [True, False]
    (output,) = notes[0].facts["outputs"]
    assert output["relative"] < 1e-5
    assert output["cosine"] == pytest.approx(1)
    assert output["top1"] == 1


def test_a_wrong_kernel_is_found(fake):
    def leaky(proto):
        for node in proto.graph.node:
            if node.op_type == "Relu":
                node.op_type = "LeakyRelu"

    fake(leaky)
    (error,) = errors(outcome(RULE, DENSE, backends=["fake", *TWO]))
    assert error.message.startswith("fake 1: differs from onnx reference evaluator")
    assert "the first node that differs: act (Relu, by 0.0" in error.message
    assert error.facts["node"] == "act"
    assert error.facts["backend"] == "fake"
    assert error.facts["outputs"][0]["max_abs"] > 1e-3


def test_a_wrong_kernel_of_the_noise_is_found(fake):
    def louder(proto):
        for tensor in proto.graph.initializer:
            if tensor.name.endswith("::std"):
                tensor.CopyFrom(onnx.numpy_helper.from_array(2 * onnx.numpy_helper.to_array(tensor), tensor.name))

    fake(louder)
    (error,) = errors(outcome(RULE, DENSE, backends=["fake", *TWO], noise=Gaussian(eta=0.1)))
    assert "fake 1, noisy model: differs" in error.message
    assert "the first node that differs: one (NoisyMatMul" in error.message


def test_a_wrong_optimization_is_told_from_a_wrong_kernel(fake):
    def only_as_a_whole(proto):
        if len(proto.graph.output) == 1:  # no value inside is an output
            proto.graph.node[2].op_type = "Sub"

    fake(only_as_a_whole)
    (error,) = errors(outcome(RULE, DENSE, backends=["fake"]))
    assert "the first node that differs: two (MatMul, by " in error.message
    assert error.message.endswith("only when it is optimized together with what it reads")


def test_an_oracle_that_all_others_contradict_is_in_doubt(fake, monkeypatch):
    load_reference = reference.load

    def wrong(source):
        proto = to_proto(load(source))
        proto.graph.node[1].op_type = "Abs"
        return load_reference(proto)

    monkeypatch.setattr(reference, "load", wrong)
    fake(lambda proto: None)
    monkeypatch.setattr(Fake, "load", lambda self, source: backends.load(source))
    found = outcome(RULE, DENSE, backends=["fake", *TWO])
    assert not errors(found)
    (warning,) = warnings(found)
    assert "agree with each other, and differ from onnx reference evaluator" in warning.message
    assert warning.facts["node"] == "act"
    assert len(errors(outcome(RULE, DENSE, backends=TWO))) == 1  # one word against another


def test_what_does_not_run_was_not_checked(fake):
    def broken(proto):
        proto.graph.node[0].op_type = "Nonsense"

    fake(broken)
    found = outcome(RULE, DENSE, backends=["fake", "onnxruntime", "onnxruntime-web"])
    assert found.status == "passed"
    assert "not checked: fake does not run the clean model: " in messages(found)
    assert "not checked: onnxruntime-web: " in messages(found)


def test_noise_of_a_runtimes_own_is_not_compared():
    old = model(CHAIN, opset=13, v=weights(8, 8), w=weights(8, 4))
    found = outcome(RULE, to_proto(nmtool.inject(old, eta=0.1).model), backends=TWO)
    assert found.status == "passed"
    assert "in distribution only" in messages(found)


def test_a_tie_is_a_warning(fake):
    text = "g (float[N,4] x) => (float[N,4] y, int64[N] top) { y = Relu(x) top = ArgMax<axis = 1, keepdims = 0>(x) }"
    labels = model(text)

    def last(proto):
        proto.graph.node[1].attribute.append(onnx.helper.make_attribute("select_last_index", 1))

    fake(last)
    found = outcome(RULE, labels, backends=["fake"], data={"x": np.ones((4, 4), np.float32)})
    assert not errors(found)
    assert "100.00% of the elements of 'top' differ" in warnings(found)[0].message
