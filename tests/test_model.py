"""Reading and writing models: fidelity, external data, atomic writes."""

import errno
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper, parser

from nmtool import model as model_files
from nmtool.backends import ort
from nmtool.errors import ModelError, UsageError
from nmtool.model import digest, load, save, to_proto
from nmtool.verbs.bake import bake
from nmtool.verbs.inject import inject
from nmtool.verbs.strip import strip

HEADER = '<ir_version: 8, opset_import: ["" : 18, "ai.onnx.ml" : 3, "custom" : 1]>\n'
WEIGHTS = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)


def parse(body: str, weights: np.ndarray | None = WEIGHTS) -> onnx.ModelProto:
    proto = parser.parse_model(HEADER + body)
    if weights is not None:
        proto.graph.initializer.append(numpy_helper.from_array(weights, "w"))
    return proto


def matmul() -> onnx.ModelProto:
    return parse("g (float[N,4] x) => (float[N,3] y) { y = MatMul(x, w) }")


def external(folder: Path, name: str = "model.onnx", location: str = "w.bin") -> Path:
    """A model with its weights in a file, 8 bytes into it."""
    proto = matmul()
    tensor = proto.graph.initializer[0]
    payload = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "8", "length": str(len(payload))}.items():
        tensor.external_data.add(key=key, value=value)
    (folder / location).parent.mkdir(parents=True, exist_ok=True)
    (folder / location).write_bytes(bytes(8) + payload)
    (folder / name).write_bytes(proto.SerializeToString())
    return folder / name


def classifier() -> onnx.ModelProto:
    """What skl2onnx makes of a classifier: a Gemm, and class probabilities as a sequence of maps."""
    proto = parse(
        "g (float[N,4] x) => (float[N,3] scores, int64 maps)\n"
        "{ scores = Gemm(x, w)\n p = Softmax(scores)\n maps = ai.onnx.ml.ZipMap<classlabels_int64s = [0, 1, 2]>(p) }"
    )
    value = helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, [])
    maps = helper.make_sequence_type_proto(helper.make_map_type_proto(onnx.TensorProto.INT64, value))
    proto.graph.output[1].type.CopyFrom(maps)
    return proto


def weights_of(path: Path) -> np.ndarray:
    return load(path).graph.initializers["w"].const_value.numpy()


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def no_leftovers(folder: Path) -> bool:
    return not list(folder.rglob(".nmtool-*"))


# Map types


def test_map_types_survive():
    proto = classifier()
    before = proto.SerializeToString(deterministic=True)
    model = load(proto)
    assert proto.SerializeToString(deterministic=True) == before
    for kept in (to_proto(model), to_proto(model.clone())):
        assert kept.graph.output[1] == proto.graph.output[1]
        onnx.checker.check_model(kept, full_check=True)


def test_classifier_with_a_map_goes_through_every_verb(tmp_path):
    proto = classifier()
    source = tmp_path / "source.onnx"
    source.write_bytes(proto.SerializeToString())
    result = inject(source)
    assert result.report.mac_share == 1
    result.save(tmp_path / "noisy.onnx")
    save(strip(tmp_path / "noisy.onnx"), tmp_path / "back.onnx")
    assert (tmp_path / "back.onnx").read_bytes() == to_proto(load(source)).SerializeToString()
    save(bake(tmp_path / "noisy.onnx", trial=2), tmp_path / "chip.onnx")
    x = np.ones((2, 4), np.float32)
    (clean_scores, clean_maps), (chip_scores, chip_maps) = (
        ort.session(tmp_path / name, library=False).run(None, {"x": x}) for name in ("back.onnx", "chip.onnx")
    )
    noisy = ort.session(tmp_path / "noisy.onnx", library=False)
    scores, maps = noisy.run(None, {"x": x, "noise_trial": np.array(2)})
    np.testing.assert_allclose(scores, chip_scores, rtol=1e-5, atol=1e-6)
    assert [sorted(entry) for entry in maps] == [[0, 1, 2]] * 2
    assert maps[0][1] == pytest.approx(chip_maps[0][1], rel=1e-5)
    assert maps[0] != clean_maps[0]
    np.testing.assert_allclose(clean_scores, x @ WEIGHTS, rtol=1e-5)


# Fidelity


def unusual() -> onnx.ModelProto:
    """Valid, and with something in every corner."""
    proto = parse(
        '"g" (float[N,4] x, string[N] names, optional(float[N]) maybe, seq(float[N]) many, float[4,3] d)'
        " => (float[N,3] y, string[N] same, float[N,3] z)\n"
        "<float[4,3] d = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}>\n"
        '{ c, unused = custom.Thing<mode = "a", table = [1.5, 2.5]>(x)\n'
        "  y = Gemm(c, w)\n same = Identity(names)\n z = MatMul(x, d) }"
    )
    graph = proto.graph
    graph.ClearField("name")
    graph.node[0].output[1] = ""
    graph.node[1].input.append("")
    for part in (proto, graph, graph.node[1], graph.input[0], graph.initializer[1]):
        part.doc_string = f"about {type(part).__name__}"
    for part in (proto, graph, graph.node[1], graph.input[0], graph.initializer[1]):
        part.metadata_props.add(key="who", value=type(part).__name__)
    annotation = graph.quantization_annotation.add(tensor_name="y")
    annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="d")
    proto.domain, proto.model_version, proto.producer_name, proto.producer_version = "some.domain", 7, "me", "1"
    return proto


def test_unusual_model_comes_back_whole():
    proto = unusual()
    result = inject(proto)
    assert [(node.op_type, node.status) for node in result.report.nodes] == [("Gemm", "noisy"), ("MatMul", "noisy")]
    noisy = to_proto(result.model).graph
    assert noisy.node[0] == to_proto(load(proto)).graph.node[0]
    assert noisy.node[1].doc_string == "about NodeProto"
    assert noisy.node[1].metadata_props == proto.graph.node[1].metadata_props
    assert noisy.quantization_annotation == proto.graph.quantization_annotation
    back, source = to_proto(strip(result.model)), to_proto(load(proto))
    del source.graph.node[1].input[-1]  # an absent optional input at the end is the same as none
    assert back == source


def test_colliding_names_get_numbers():
    proto = parse(
        "g (float[N,4] x, bool b) => (float[N,3] y, float[N,4] noise_trial)\n"
        "{ y = MatMul(x, w)\n noise_trial = If(b) <then_branch = t () => (float[N,4] noise_scale) "
        "{ noise_scale = Relu(x) }, else_branch = e () => (float[N,4] q) { q = Identity(x) }> }"
    )
    result = inject(proto)
    assert [value.name for value in result.model.graph.inputs] == ["x", "b", "noise_trial_1", "noise_scale_1"]
    onnx.checker.check_model(to_proto(result.model), full_check=True)
    assert to_proto(strip(result.model)) == to_proto(load(proto))


def test_load_copies_a_model_that_is_given():
    model = load(matmul())
    before = to_proto(model)
    inject(model)
    assert to_proto(model) == before


def test_digest_depends_on_weights_wherever_they_are(tmp_path):
    proto, other = matmul(), matmul()
    other.graph.initializer[0].CopyFrom(numpy_helper.from_array(WEIGHTS + 1, "w"))
    assert digest(proto) == digest(load(proto)) != digest(other)
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    assert digest(path) != digest(proto)


# Writing


def test_written_model_is_the_one_in_memory(tmp_path):
    model = inject(matmul()).model
    assert save(model, tmp_path / "m.onnx") == [tmp_path / "m.onnx"]
    assert (tmp_path / "m.onnx").read_bytes() == to_proto(model).SerializeToString()
    assert to_proto(load(tmp_path / "m.onnx")) == to_proto(model)


def test_an_output_that_exists_is_kept_without_force(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_text("mine")
    with pytest.raises(UsageError, match=r"the output exists: .*m\.onnx"):
        save(load(matmul()), path)
    assert path.read_text() == "mine"
    save(load(matmul()), path, force=True)
    np.testing.assert_array_equal(weights_of(path), WEIGHTS)


def test_force_may_overwrite_the_source(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(matmul().SerializeToString())
    inject(path).save(path, force=True)
    save(strip(path), path, force=True)
    assert load(path).graph.inputs[0].name == "x"
    assert files(tmp_path) == {"m.onnx"}


@pytest.mark.parametrize("force", [False, True])
def test_an_output_that_is_a_folder_or_in_none_is_refused(force, tmp_path):
    with pytest.raises(UsageError, match=r"does not exist: .*nowhere"):
        save(load(matmul()), tmp_path / "nowhere" / "m.onnx", force=force)
    (tmp_path / "taken").mkdir()
    with pytest.raises(UsageError, match="taken"):
        save(load(matmul()), tmp_path / "taken", force=force)
    assert no_leftovers(tmp_path)


@pytest.mark.parametrize("step", ["write_bytes", "copyfile", "replace"])
def test_a_failure_leaves_everything_as_it_was(step, tmp_path, monkeypatch):
    (tmp_path / "from").mkdir()
    source = external(tmp_path / "from")
    target = tmp_path / "m.onnx"
    target.write_text("mine")
    result = inject(source)

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil if step == "copyfile" else Path, step, fail)
    with pytest.raises(UsageError, match=r"cannot be written: .*m\.onnx: No space left"):
        result.save(target, force=True)
    monkeypatch.undo()
    assert target.read_text() == "mine"
    assert files(tmp_path) == {"m.onnx", "from/model.onnx", "from/w.bin"}
    assert no_leftovers(tmp_path)


# External data


def test_in_the_same_folder_the_data_file_is_used_again(tmp_path):
    before = external(tmp_path).stat()
    written = inject(tmp_path / "model.onnx").save(tmp_path / "noisy.onnx")
    assert written == [tmp_path / "noisy.onnx"]
    assert files(tmp_path) == {"model.onnx", "noisy.onnx", "w.bin"}
    assert (tmp_path / "model.onnx").stat().st_mtime_ns == before.st_mtime_ns
    np.testing.assert_array_equal(weights_of(tmp_path / "noisy.onnx"), WEIGHTS)
    ort.session(tmp_path / "noisy.onnx", library=False)


@pytest.mark.parametrize("location", ["w.bin", "deep/er/w.bin"])
def test_to_another_folder_the_data_file_is_copied(location, tmp_path):
    (tmp_path / "from").mkdir()
    (tmp_path / "to").mkdir()
    source = external(tmp_path / "from", location=location)
    written = inject(source).save(tmp_path / "to/noisy.onnx")
    assert written == [tmp_path / "to" / location, tmp_path / "to/noisy.onnx"]
    shutil.rmtree(tmp_path / "from")
    assert files(tmp_path / "to") == {location, "noisy.onnx"}
    np.testing.assert_array_equal(weights_of(tmp_path / "to/noisy.onnx"), WEIGHTS)


def test_a_data_file_of_another_model_is_not_overwritten(tmp_path):
    (tmp_path / "from").mkdir()
    source = external(tmp_path / "from")
    (tmp_path / "w.bin").write_text("another model's")
    with pytest.raises(UsageError, match=r"the output exists: .*w\.bin"):
        inject(source).save(tmp_path / "noisy.onnx")
    assert (tmp_path / "w.bin").read_text() == "another model's"
    assert not (tmp_path / "noisy.onnx").exists()


def test_two_models_share_a_data_file(tmp_path):
    for name in ("a.onnx", "b.onnx"):
        external(tmp_path, name)
        inject(tmp_path / name).save(tmp_path / f"noisy-{name}")
    save(bake(tmp_path / "noisy-a.onnx"), tmp_path / "chip.onnx", own_data=True)
    assert files(tmp_path) == {
        "a.onnx",
        "b.onnx",
        "noisy-a.onnx",
        "noisy-b.onnx",
        "w.bin",
        "chip.onnx",
    }  # few weights go inline
    for name in ("a.onnx", "b.onnx", "noisy-a.onnx", "noisy-b.onnx"):
        np.testing.assert_array_equal(weights_of(tmp_path / name), WEIGHTS)
    assert not np.array_equal(weights_of(tmp_path / "chip.onnx"), WEIGHTS)


def test_own_data_leaves_the_source_data_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(model_files, "_SMALL", 10)
    written = save(load(external(tmp_path)), tmp_path / "own.onnx", own_data=True)
    assert written == [tmp_path / "own.onnx.data", tmp_path / "own.onnx"]
    np.testing.assert_array_equal(weights_of(tmp_path / "own.onnx"), WEIGHTS)
    np.testing.assert_array_equal(weights_of(tmp_path / "model.onnx"), WEIGHTS)


def test_large_models_get_a_data_file(tmp_path, monkeypatch):
    proto = parse("g (float[N,40] x) => (float[N,30] y) { y = MatMul(x, w) }", np.ones((40, 30), np.float32))
    monkeypatch.setattr(model_files, "_INLINE_LIMIT", 1000)
    model = load(proto)
    assert save(model, tmp_path / "m.onnx") == [tmp_path / "m.onnx.data", tmp_path / "m.onnx"]
    assert (tmp_path / "m.onnx.data").stat().st_size == 4800
    assert isinstance(model.graph.initializers["w"].const_value, ir.TensorProtocol)
    assert not isinstance(model.graph.initializers["w"].const_value, ir.ExternalTensor)
    np.testing.assert_array_equal(weights_of(tmp_path / "m.onnx"), 1)
    (tmp_path / "m.onnx").unlink()
    with pytest.raises(UsageError, match=r"m\.onnx\.data"):
        save(model, tmp_path / "m.onnx")


def test_what_protobuf_cannot_hold_is_a_model_error(tmp_path, monkeypatch):
    def fail(_: object) -> bytes:
        raise ValueError("exceeds maximum protobuf size of 2GB")

    monkeypatch.setattr(onnx.ModelProto, "SerializeToString", fail, raising=False)
    with pytest.raises(ModelError, match="cannot be stored as ONNX: exceeds"):
        save(load(matmul()), tmp_path / "m.onnx")
    assert files(tmp_path) == set()
