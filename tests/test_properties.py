"""Properties of inject, strip and bake on random small graphs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from nmtool.backends import ort
from nmtool.model import load, to_proto
from nmtool.verbs.bake import bake
from nmtool.verbs.inject import inject
from nmtool.verbs.strip import strip

BATCH = 2
Outputs = Mapping[str, np.ndarray]


class Builder:
    """A graph that grows by one random node at a time; every value so far may be used again."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.opset = draw(st.sampled_from((9, 11, 13, 17, 18, 21)))
        self.dtype = draw(st.sampled_from((np.float32, np.float32, np.float64)))
        self.generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.matrices: list[tuple[str, int]] = [("x", draw(st.integers(1, 6)))]  # [batch, width]
        self.width = self.matrices[0][1]
        self.images: list[tuple[str, int, int]] = []  # [batch, channels, size, size]
        self.arrays: dict[tuple[int, ...], str] = {}

    def constant(self, array: np.ndarray, name: str) -> str:
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def weight(self, *shape: int) -> str:
        """A new array, or one of the same shape again."""
        if shape in self.arrays and self.draw(st.booleans()):
            return self.arrays[shape]
        array = self.generator.standard_normal(shape).astype(self.dtype)
        self.arrays[shape] = self.constant(array, f"w{len(self.initializers)}")
        return self.arrays[shape]

    def node(self, op_type: str, inputs: list[str], **attributes: Any) -> str:
        name = f"v{len(self.nodes)}"
        label = f"node{len(self.nodes)}" if self.draw(st.booleans()) else ""
        self.nodes.append(helper.make_node(op_type, inputs, [name], name=label, **attributes))
        return name

    def grow(self) -> None:
        value, width = self.draw(st.sampled_from(self.matrices))
        steps = [self.matmul, self.gemm, self.relu, self.add, self.left, self.transposed]
        steps += [self.image] if self.dtype == np.float32 else []  # the runtime has no float64 Conv
        steps += [self.conv, self.transpose, self.flatten] if self.images else []
        self.draw(st.sampled_from(steps))(value, width)

    def matmul(self, value: str, width: int) -> None:
        out = self.draw(st.integers(1, 6))
        self.matrices.append((self.node("MatMul", [value, self.weight(width, out)]), out))

    def left(self, value: str, width: int) -> None:
        out = self.draw(st.integers(1, 4))
        column = self.node("Transpose", [value], perm=[1, 0])
        product = self.node("MatMul", [self.weight(out, width), column])
        self.matrices.append((self.node("Transpose", [product], perm=[1, 0]), out))

    def transposed(self, value: str, width: int) -> None:
        out = self.draw(st.integers(1, 6))
        weight = self.node("Transpose", [self.weight(out, width)], perm=[1, 0])
        self.matrices.append((self.node("MatMul", [value, weight]), out))

    def gemm(self, value: str, width: int) -> None:
        out, across = self.draw(st.integers(1, 6)), self.draw(st.booleans())
        inputs = [value, self.weight(out, width) if across else self.weight(width, out)]
        if self.draw(st.booleans()) or self.opset < 11:
            inputs.append(self.weight(out))
        attributes: dict[str, Any] = {"transB": int(across)} if across or self.draw(st.booleans()) else {}
        if self.draw(st.booleans()):
            attributes["alpha"] = 0.5
        self.matrices.append((self.node("Gemm", inputs, **attributes), out))

    def relu(self, value: str, width: int) -> None:
        self.matrices.append((self.node("Relu", [value]), width))

    def add(self, value: str, width: int) -> None:
        others = [name for name, other in self.matrices if other == width]
        self.matrices.append((self.node("Add", [value, self.draw(st.sampled_from(others))]), width))

    def image(self, value: str, width: int) -> None:
        shape = self.constant(np.array([BATCH, width, 1, 1]), f"shape{len(self.initializers)}")
        self.images.append((self.node("Reshape", [value, shape]), width, 1))

    def conv(self, *_: object) -> None:
        value, channels, size = self.draw(st.sampled_from(self.images))
        group = channels if self.draw(st.booleans()) else 1
        out, kernel = group * self.draw(st.integers(1, 2)), self.draw(st.integers(1, 3))
        inputs = [value, self.weight(out, channels // group, kernel, kernel)]
        if self.draw(st.booleans()):
            inputs.append(self.weight(out))
        pad = kernel - 1
        made = self.node("Conv", inputs, group=group, pads=[pad] * 4)
        self.images.append((made, out, size + 2 * pad - kernel + 1))

    def transpose(self, *_: object) -> None:
        value, channels, size = self.draw(st.sampled_from(self.images))
        out = self.draw(st.integers(1, 3))
        made = self.node("ConvTranspose", [value, self.weight(channels, out, 2, 2)], strides=[2, 2])
        self.images.append((made, out, 2 * size))

    def flatten(self, *_: object) -> None:
        value, channels, size = self.draw(st.sampled_from(self.images))
        if channels * size * size <= 64:
            self.matrices.append((self.node("Flatten", [value]), channels * size * size))

    def model(self) -> onnx.ModelProto:
        used = {name for node in self.nodes for name in node.input}
        ends = [node.output[0] for node in self.nodes if node.output[0] not in used]
        element = helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype))
        graph = helper.make_graph(
            self.nodes,
            "random",
            [helper.make_tensor_value_info("x", element, [BATCH, self.width])],
            [helper.make_empty_tensor_value_info(name) for name in ends],
            self.initializers,
        )
        for output in graph.output:
            output.type.tensor_type.elem_type = element
        opsets = [helper.make_opsetid("", self.opset)]
        proto = helper.make_model(graph, opset_imports=opsets, ir_version=self.draw(st.integers(7, 10)))
        inferred = onnx.shape_inference.infer_shapes(proto, strict_mode=True)
        for output, typed in zip(proto.graph.output, inferred.graph.output, strict=True):
            output.CopyFrom(typed)
        return proto


@st.composite
def models(draw: st.DrawFn) -> onnx.ModelProto:
    builder = Builder(draw)
    for _ in range(draw(st.integers(1, 7))):
        builder.grow()
    builder.matmul(*builder.matrices[-1])  # at least one array, with at least two weights
    builder.gemm(*builder.matrices[-1])
    builder.matrices.append((builder.node("MatMul", ["x", builder.weight(builder.width, 5)]), 5))
    return builder.model()


NOISE = st.sampled_from(("gaussian", "lognormal", "stuck"))
OPTIONS = st.fixed_dictionaries({"eta": st.floats(0.1, 0.5), "seed": st.integers(-(2**63), 2**63 - 1), "noise": NOISE})


def examples(count: int) -> settings:
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=count, deadline=None, derandomize=True, database=None, suppress_health_check=slow)


def run(model: ir.Model | onnx.ModelProto, **noise: float) -> Outputs:
    session = ort.session(model, library=False, optimization="none", threads=1)
    (source,) = session.get_inputs()
    dtype = np.float64 if "double" in source.type else np.float32
    x = np.random.default_rng(0).standard_normal(source.shape).astype(dtype)
    types = {"trial": np.int64, "scale": np.float32}
    given = {f"noise_{key}": np.array(value, types[key]) for key, value in noise.items()}
    outputs = session.run(None, {"x": x, **given})
    return {output.name: value for output, value in zip(session.get_outputs(), outputs, strict=True)}


def assert_close(actual: Outputs, expected: Outputs) -> None:
    for name, value in expected.items():
        limit = 1e-5 * max(1.0, float(np.max(np.abs(value), initial=0)))
        np.testing.assert_allclose(actual[name], value, rtol=0, atol=limit, err_msg=name)


@examples(40)
@given(models(), OPTIONS, st.booleans())
def test_noisy_model_is_valid_strips_to_its_source_and_is_clean_at_scale_zero(proto, options, dynamic):
    noisy = inject(proto, **options, dynamic=dynamic).model
    onnx.checker.check_model(to_proto(noisy), full_check=True)
    assert to_proto(strip(noisy)) == to_proto(load(proto))
    assert_close(run(noisy, scale=0.0), run(proto))


@examples(20)
@given(models(), OPTIONS, st.integers(0, 2**32 - 1))
def test_baked_model_is_the_noisy_model_at_that_trial(proto, options, trial):
    proto.opset_import[0].version = max(proto.opset_import[0].version, 18)
    noisy = inject(proto, **options).model
    baked = bake(noisy, trial=trial)
    onnx.checker.check_model(to_proto(baked), full_check=True)
    assert not baked.functions
    assert {value.name for value in baked.graph.inputs} == {"x"}
    assert_close(run(noisy, trial=trial), run(baked))


def arrays(model: ir.Model) -> dict[str, np.ndarray]:
    return {
        name: value.const_value.numpy()
        for name, value in model.graph.initializers.items()
        if value.const_value.size > 1
    }


@examples(40)
@given(models(), st.integers(-(2**63), 2**63 - 2), st.integers(0, 2**32 - 2))
def test_noise_is_a_function_of_seed_and_trial(proto, seed, trial):
    def chip(seed: int, trial: int) -> dict[str, np.ndarray]:
        return arrays(bake(inject(proto, eta=0.1, seed=seed).model, trial=trial))

    clean, first, again = arrays(load(proto)), chip(seed, trial), chip(seed, trial)
    changed = [name for name in first if name not in clean or not np.array_equal(first[name], clean[name])]
    assert changed
    for name in changed:
        np.testing.assert_array_equal(first[name], again[name])
    for other in (chip(seed + 1, trial), chip(seed, trial + 1)):
        for name in changed:
            assert not np.array_equal(first[name], other[name])


@examples(40)
@given(models(), OPTIONS)
def test_injection_is_deterministic_and_leaves_its_argument_alone(proto, options):
    before = proto.SerializeToString(deterministic=True)
    first, second = (to_proto(inject(proto, **options).model) for _ in range(2))
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)
    assert proto.SerializeToString(deterministic=True) == before
    assert all(
        t.data_type in (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64) for t in first.graph.initializer
    )
