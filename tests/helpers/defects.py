"""Defects to plant into a sound model, with the rules that catch them; docs/checks.md lists them."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from planted import body, calls, change, louder, record, set_attribute

import nmtool
from build import model, weights

TEXT = """g (float[N,2,6,6] x) => (float[N,5] y) {
    [conv] c = Conv<pads = [1,1,1,1]>(x, k)
    [norm] n = BatchNormalization(c, scale, shift, mean, var)
    [act] a = Relu(n)  p = GlobalAveragePool(a)  [flat] f = Reshape(p, shape)
    [hidden] h = Gemm(f, w, b)  [act2] r = Relu(h)  [top] y = Gemm(r, v, d) }"""
IMAGES = weights(64, 2, 6, 6)


def arrays():
    channels = weights(8, 2, 3, 3, seed=1)
    before = np.stack([_convolved(channels)[:, each].reshape(-1) for each in range(8)])
    return {
        "k": channels,
        "scale": 1 + weights(8) / 9,
        "shift": weights(8) / 9,
        "mean": before.mean(axis=1),
        "var": before.var(axis=1),
        "shape": np.array([-1, 8]),
        "w": weights(8, 8),
        "b": weights(8, seed=2) / 9,
        "v": weights(8, 5),
        "d": weights(5) / 99,
    }


def _convolved(kernel):
    proto = model("g (float[N,2,6,6] x) => (float[N,8,6,6] y) { y = Conv<pads = [1,1,1,1]>(x, k) }", k=kernel)
    return nmtool.run(proto, {"x": IMAGES})["y"]


DEFECTS = {}


def defect(codes, of="noisy", **options):
    """Register a function that plants a defect into a model and returns it, or changes it in place."""

    def register(plant):
        DEFECTS[plant.__name__.replace("_", " ")] = (codes.split(), of, plant, options)
        return plant

    return register


def initializer(proto, name):
    return next(tensor for tensor in proto.graph.initializer if tensor.name == name)


def node(proto, name):
    return next(each for each in proto.graph.node if each.name == name)


@defect("NM006", of="original", without_data=True)
def a_weight_is_not_a_number(proto):
    change(proto, "w", lambda w: np.where(np.arange(64).reshape(8, 8) == 9, np.nan, w))


@defect("NM006 NM102", of="original", without_data=True)
def a_weight_overflows_in_the_cast_to_float16(proto):
    values = arrays()["w"] * np.where(np.arange(64).reshape(8, 8) == 9, 1e6, 1)
    with np.errstate(over="ignore"):
        initializer(proto, "w").CopyFrom(numpy_helper.from_array(values.astype(np.float16), "w"))


@defect("NM006", of="original", without_data=True)
def weights_are_denormal(proto):
    change(proto, "w", lambda w: w * np.float32(1e-39))


@defect("NM206", of="original")
def an_activation_overflows_in_float16(proto):
    change(proto, "w", lambda w: w * np.float32(1e5))
    position = [each.name for each in proto.graph.node].index("act2")
    proto.graph.node.insert(position, helper.make_node("Cast", ["h"], ["half"], to=TensorProto.FLOAT16))
    proto.graph.node.insert(position + 1, helper.make_node("Cast", ["half"], ["wide"], to=TensorProto.FLOAT))
    node(proto, "act2").input[0] = "wide"


def external(proto, folder, **options):
    onnx.save(proto, folder / "bad.onnx", save_as_external_data=True, location="w.data", size_threshold=0)


@defect("NM003", of="original", without_data=True)
def external_data_is_truncated(proto):
    def write(folder):
        external(proto, folder)
        data = (folder / "w.data").read_bytes()
        (folder / "w.data").write_bytes(data[: len(data) // 2])

    return write


@defect("NM003", of="original", without_data=True)
def external_data_is_missing(proto):
    def write(folder):
        external(proto, folder)
        (folder / "w.data").unlink()

    return write


@defect("NM003", of="original", without_data=True)
def external_data_has_an_absolute_path(proto):
    def write(folder):
        external(proto, folder)
        bad = onnx.load(folder / "bad.onnx", load_external_data=False)
        for entry in (entry for tensor in bad.graph.initializer for entry in tensor.external_data):
            entry.value = str(folder / "w.data") if entry.key == "location" else entry.value
        (folder / "bad.onnx").write_bytes(bad.SerializeToString())

    return write


@defect("NM005", without_data=True)
def the_body_of_an_operator_is_gone(proto):
    kept = [function for function in proto.functions if function.name != "GaussianNoise"]
    del proto.functions[:]
    proto.functions.extend(kept)


@defect("NM004", of="original", without_data=True)
def a_node_is_of_an_unknown_domain(proto):
    node(proto, "act").domain = "com.example"
    proto.opset_import.append(helper.make_opsetid("com.example", 1))


@defect("NM002", of="original", without_data=True)
def the_version_of_the_file_is_too_new(proto):
    proto.ir_version = 99


@defect("NM001", of="original", without_data=True)
def nodes_are_out_of_order(proto):
    nodes = list(proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend([nodes[1], nodes[0], *nodes[2:]])


@defect("NM001 NM101", of="original", without_data=True)
def the_declared_output_has_another_shape(proto):
    proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 6


@defect("NM103")
def a_weight_changed_after_injection(proto):
    change(proto, "v", lambda v: v + 0.1 * (np.arange(40).reshape(8, 5) == 7))


@defect("NM102")
def a_node_is_renamed(proto):
    node(proto, "act2").name = "relu"


@defect("NM102", of="original")
def a_node_is_gone(proto):
    node(proto, "top").input[0] = "h"
    proto.graph.node.remove(node(proto, "act2"))


@defect("NM102", of="original")
def an_attribute_changed(proto):
    node(proto, "conv").attribute[0].ints[:] = [1, 1, 1, 1]
    node(proto, "top").attribute.append(helper.make_attribute("alpha", 2.0))


@defect("NM101")
def the_output_is_renamed(proto):
    node(proto, "top").output[0] = proto.graph.output[0].name = "logits"


@defect("NM103", of="original")
def a_shape_changed(proto):
    change(proto, "shape", lambda shape: np.array([0, 8]))


@defect("NM103 NM401", of="original", gates=["top1>=0.95@eta=0"])
def a_square_weight_is_transposed(proto):
    change(proto, "w", lambda w: w.T)


@defect("NM102", of="original", without_data=True)
def an_array_has_another_type(proto):
    initializer(proto, "d").CopyFrom(numpy_helper.from_array(arrays()["d"].astype(np.float64), "d"))


@defect("NM104")
def the_record_of_the_noise_is_gone(proto):
    del proto.metadata_props[:]


@defect("NM104")
def the_record_names_another_source(proto):
    return record(proto, source_sha256="0" * 64)


@defect("NM203", of="original")
def the_batch_is_baked_into_a_shape(proto):
    change(proto, "shape", lambda shape: np.array([4, 8]))


@defect("NM202", of="original")
def samples_of_a_batch_are_mixed(proto):
    position = [each.name for each in proto.graph.node].index("hidden")
    proto.graph.initializer.append(numpy_helper.from_array(np.array([0]), "axes"))
    proto.graph.node.insert(position, helper.make_node("ReduceMean", ["f", "axes"], ["average"], keepdims=1))
    proto.graph.node.insert(position + 1, helper.make_node("Sub", ["f", "average"], ["centred"]))
    node(proto, "hidden").input[0] = "centred"


@defect("NM201", of="original")
def an_operator_is_random(proto):
    position = [each.name for each in proto.graph.node].index("act2")
    proto.graph.node.insert(position, helper.make_node("RandomNormalLike", ["h"], ["z"], name="dither"))
    proto.graph.node.insert(position + 1, helper.make_node("Add", ["h", "z"], ["dithered"]))
    node(proto, "act2").input[0] = "dithered"


@defect("NM103 NM207", of="original")
def running_statistics_are_stale(proto):
    change(proto, "k", lambda k: 5 * k + 1)


@defect("NM205", of="original")
def rounding_decides_the_result(proto):
    """Cancellation: what is left is the rounding of each runtime, made large."""
    position = [each.name for each in proto.graph.node].index("top")
    for name, value in {"big": 1e8, "left": 1e3}.items():
        proto.graph.initializer.append(numpy_helper.from_array(np.float32(value), name))
    proto.graph.node.insert(position, helper.make_node("ReduceSum", ["a"], ["sum"], keepdims=0))
    proto.graph.node.insert(position + 1, helper.make_node("Mul", ["sum", "big"], ["scaled"]))
    proto.graph.node.insert(position + 2, helper.make_node("Sin", ["scaled"], ["chaos"]))
    proto.graph.node.insert(position + 3, helper.make_node("Add", ["r", "chaos"], ["disturbed"]))
    node(proto, "top").input[0] = "disturbed"


@defect("NM301")
def a_sigma_is_5_percent_too_large(proto):
    name = next(tensor.name for tensor in proto.graph.initializer if tensor.name.endswith("::std"))
    change(proto, name, lambda std: std * 1.05)


@defect("NM302")
def two_arrays_share_a_stream(proto):
    first, second = calls(proto)[:2]
    stream = next(each.i for each in first.attribute if each.name == "stream")
    set_attribute(second, "stream", stream)


@defect("NM302")
def a_node_has_another_seed(proto):
    set_attribute(calls(proto)[0], "seed", 1)


@defect("NM302 NM204")
def the_scale_does_not_reach_a_node(proto):
    call = calls(proto)[0]
    position = list(call.input).index("noise_scale")
    proto.graph.initializer.append(numpy_helper.from_array(np.float32(1), "one"))
    call.input[position] = "one"


@defect("NM303 NM304")
def an_operator_draws_5_percent_too_much(proto):
    louder(body(proto, "GaussianNoise"))


@defect("NM303 NM305")
def an_operator_draws_nothing(proto):
    function = body(proto, "GaussianNoise")
    sums = next(each for each in function.node if "y" in each.output)
    sums.CopyFrom(helper.make_node("Identity", ["x"], ["y"]))


@defect("NM301")
def the_record_has_another_eta(proto):
    return record(proto, noise={"eta": 0.03})


@defect("NM401", gates=["top1>=0.999@eta=0.2"], max_trials=20)
def the_accuracy_is_below_its_gate(proto):
    """Nothing is planted: the noise of the gate is too large for the model."""


@defect("NM303 NM304")
def noise_is_drawn_by_the_element_of_another_array(proto):
    function = body(proto, "ByElement")
    concat = next(each for each in function.node if each.op_type == "Concat")
    concat.input[:] = reversed(list(concat.input))
