"""What is particular to single engines."""

import numpy as np
import onnx
import pytest

from build import model
from nmtool import backends
from nmtool.errors import ModelError


def test_openvino_takes_no_integers_that_it_would_cut():
    pytest.importorskip("openvino")
    runner = backends.load(model("g (int64[N] x) => (int64[N] y) { y = Abs(x) }"), "openvino", threads=1)
    assert runner.run(["y"], {"x": np.array([-(2**31) + 1, 5])})[0].tolist() == [2**31 - 1, 5]
    with pytest.raises(ModelError, match="input 'x' has numbers of more than 32 bits"):
        runner.run(["y"], {"x": np.array([0, 2**31])})


def test_openvino_gives_the_reason_instead_of_its_source_files():
    pytest.importorskip("openvino")
    proto = model("g (float[N] x) => (float[N] y) { y = Relu(x) }")
    proto.graph.node[0].op_type = "Frobnicate"
    with pytest.raises(ModelError) as caught:
        backends.load(proto, "openvino")
    reason = caught.value.message.partition("the model: ")[2]
    assert reason.startswith("No conversion rule found for operations: Frobnicate")


def test_tract_may_abort_without_taking_us_along(monkeypatch):
    pytest.importorskip("tract")
    from nmtool.backends import tract

    def forget_a_node(graph: onnx.ModelProto) -> None:
        graph.functions.clear()
        graph.graph.remove(graph.graph[-1])

    monkeypatch.setattr(tract, "inline_functions", forget_a_node)
    runner = backends.load(model("g (float[N] x) => (float[N] z) { y = Relu(x) z = Neg(y) }"), "tract")
    with pytest.raises(ModelError, match=r"tract .* cannot load the model: its process ended"):
        runner.run(["z"], {"x": np.ones(2, np.float32)})


def test_tract_says_where_and_why():
    pytest.importorskip("tract")
    runner = backends.load(model("g (float[N] x) => (float[N] y) { y = RandomNormalLike(x) }"), "tract")
    with pytest.raises(ModelError) as caught:
        runner.run(["y"], {"x": np.ones(2, np.float32)})
    assert "backtrace" not in caught.value.message
    assert "RandomNormalLike" in caught.value.message
