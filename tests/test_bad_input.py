"""Bad models and bad options: an NmtoolError that names the culprit, and nothing left on disk."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import parser

from nmtool import model as model_files
from nmtool.errors import EXIT_MODEL, EXIT_USAGE, ModelError, NmtoolError, UsageError
from nmtool.noise import noise_model
from nmtool.verbs.bake import bake
from nmtool.verbs.inject import inject
from nmtool.verbs.strip import strip

HEADER = '<ir_version: 8, opset_import: ["" : 18, "custom" : 1]>\n'
WEIGHTS = "float[2,2] w = {1, 2, 3, 4}"


def parse(body: str, header: str = HEADER) -> onnx.ModelProto:
    return parser.parse_model(header + body)


def matmul(initializers: str = WEIGHTS, nodes: str = "y = MatMul(x, w)") -> onnx.ModelProto:
    return parse(f"g (float[N,2] x) => (float[N,2] y) <{initializers}> {{ {nodes} }}")


def external(folder: Path, location: str = "w.bin", size: int = 16, **entries: object) -> Path:
    """A model whose weights are in a file of `size` bytes."""
    proto = matmul()
    tensor = proto.graph.initializer[0]
    tensor.ClearField("float_data")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    if size:
        (folder / "w.bin").write_bytes(np.arange(size, dtype=np.uint8).tobytes())
    return written(folder, proto.SerializeToString())


def written(folder: Path, content: bytes, name: str = "bad.onnx") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def changed(change: Callable[[onnx.ModelProto], object], proto: onnx.ModelProto | None = None) -> onnx.ModelProto:
    proto = proto or matmul()
    change(proto)
    return proto


def linked(folder: Path, link: Callable[[Path, Path], None]) -> Path:
    path = external(folder, size=16)
    inner = folder / "inner"
    inner.mkdir()
    link(folder / "w.bin", inner / "w.bin")
    return path.rename(inner / "bad.onnx")


# what is wrong -> (makes the model in a folder, what the message must name)
BAD_MODELS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no such file": (lambda folder: folder / "absent.onnx", "no such model file: .*absent.onnx"),
    "a directory": (lambda folder: folder, "cannot be read: .*: Is a directory"),
    "an empty file": (lambda folder: written(folder, b""), "not an ONNX model: .*bad.onnx"),
    "random bytes": (lambda folder: written(folder, random.Random(1).randbytes(500)), "not an ONNX model.*bad.onnx"),
    "a text file": (lambda folder: written(folder, b"# a heading\n\nand some text\n"), "not an ONNX model.*bad.onnx"),
    "half a file": (lambda folder: written(folder, matmul().SerializeToString()[:-40]), "truncated one.*bad.onnx"),
    "a tensor file": (
        lambda folder: written(folder, onnx.numpy_helper.from_array(np.ones(3)).SerializeToString()),
        "bad",
    ),
    "no graph": (
        lambda _: changed(lambda m: m.ClearField("graph"), None) and onnx.ModelProto(ir_version=8),
        "no graph|nothing|opset",
    ),
    "a cycle": (lambda _: matmul(nodes="a = MatMul(b, w)\n b = Relu(a)\n y = Add(x, b)"), "reads 'b'"),
    "a self loop": (lambda _: matmul(nodes="y = MatMul(y, w)"), "reads 'y'"),
    "a dangling input": (lambda _: matmul(nodes="y = MatMul(nowhere, w)"), "reads 'nowhere'"),
    "a dangling input in a subgraph": (
        lambda _: matmul(
            nodes="c = Constant<value_int = 1>()\n b = Cast<to = 9>(c)\n"
            "y = If(b) <then_branch = t () => (float[N,2] p) { p = MatMul(x, nowhere) },"
            "else_branch = e () => (float[N,2] q) { q = Identity(x) }>"
        ),
        "reads 'nowhere'",
    ),
    "a dangling output": (lambda _: matmul(nodes="z = MatMul(x, w)"), "output 'y'"),
    "an output name used twice": (lambda _: matmul(nodes="y = MatMul(x, w)\n y = Relu(x)"), "'y' is redeclared"),
    "an input name used twice": (lambda _: changed(lambda m: m.graph.input.append(m.graph.input[0])), "input 'x'"),
    "an initializer name used twice": (
        lambda _: changed(lambda m: m.graph.initializer.append(m.graph.initializer[0])),
        "initializer 'w'",
    ),
    "an initializer without a name": (lambda _: changed(lambda m: m.graph.initializer.add(dims=[1])), "no name"),
    "an initializer named like an output": (lambda _: matmul(nodes="w = Relu(x)\n y = MatMul(x, w)"), "'w'"),
    "a function defined twice": (
        lambda _: changed(lambda m: m.functions.extend([onnx.FunctionProto(domain="d", name="f")] * 2)),
        "d::f",
    ),
    "a tensor shorter than its shape": (lambda _: changed(lambda m: m.graph.initializer[0].dims.append(7)), "'w'"),
    "a tensor of an unknown type": (
        lambda _: changed(lambda m: setattr(m.graph.initializer[0], "data_type", 99)),
        "99",
    ),
    "an attribute without a type": (
        lambda _: changed(
            lambda m: m.graph.node[0].attribute[0].ClearField("type"),
            matmul(nodes="t = Transpose<perm = [1, 0]>(w)\n y = MatMul(x, t)"),
        ),
        "'Transpose' .*: perm",
    ),
    "a negative dimension": (lambda _: changed(lambda m: m.graph.initializer[0].dims.append(-1)), "'w'"),
    "a sparse initializer": (
        lambda _: changed(lambda m: setattr(m.graph.sparse_initializer.add().values, "name", "sparse")),
        "'sparse'",
    ),
    "training info": (lambda _: changed(lambda m: m.training_info.add()), "training_info"),
    "missing data": (lambda folder: external(folder, size=0), "'w' is missing: .*w.bin"),
    "truncated data": (lambda folder: external(folder, size=15), "'w' is truncated: .*w.bin has 15 of 16"),
    "an offset past the end": (lambda folder: external(folder, offset=4), "'w' is truncated: .*16 of 20"),
    "a negative offset": (lambda folder: external(folder, offset=-4), "'w'.*-4|offset"),
    "an offset that is no number": (lambda folder: external(folder, offset="four"), "four"),
    "a wrong length": (lambda folder: external(folder, length=12), "'w' has 12 bytes where its shape needs 16"),
    "data at an absolute path": (lambda folder: external(folder, str(folder / "w.bin")), "outside the model's folder"),
    "data above the folder": (lambda folder: external(folder, "../w.bin"), "outside the model's folder: ../w.bin"),
    "data behind a symbolic link": (lambda folder: linked(folder, lambda a, b: b.symlink_to(a)), "'w' is a link"),
    "data behind a hard link": (lambda folder: linked(folder, lambda a, b: b.hardlink_to(a)), "'w' is a link"),
    "a data location that is empty": (lambda folder: external(folder, ""), "'w'"),
    "external data in a node": (
        lambda _: changed(
            lambda m: setattr(m.graph.node[0].attribute[0].t, "data_location", 1),
            matmul("", "w = Constant<value = float[2,2] {1, 2, 3, 4}>()\n y = MatMul(x, w)"),
        ),
        "node 'Constant'",
    ),
    "NaN weights": (lambda _: changed(lambda m: spoil(m, np.nan)), "'w' hold NaN"),
    "infinite weights": (lambda _: changed(lambda m: spoil(m, np.inf)), "'w' hold NaN or infinite"),
    "no analog operator": (lambda _: matmul("", "y = Relu(x)"), "no operator that maps to analog"),
    "weights computed at run time": (lambda _: matmul("", "y = MatMul(x, x)"), "MatMul: product of two activations"),
    "empty weights": (
        lambda _: parse("g (float[N,0] x) => (float[N,2] y) <float[0,2] w = {}> { y = MatMul(x, w) }"),
        "MatMul: its array is empty",
    ),
    "equal weights": (lambda _: matmul("float[2,2] w = {3, 3, 3, 3}"), "MatMul: its noise would be zero: .* equal"),
    "one weight": (
        lambda _: parse("g (float[N,1] x) => (float[N,1] y) <float[1,1] w = {3}> { y = MatMul(x, w) }"),
        "MatMul: its noise would be zero",
    ),
    "integer weights": (
        lambda _: parse("g (int32[N,2] x) => (int32[N,2] y) <int32[2,2] w = {1, 2, 3, 4}> { y = MatMul(x, w) }"),
        "its weights are INT32",
    ),
    "an opset from before broadcasting": (
        lambda _: changed(lambda m: setattr(m.opset_import[0], "version", 6)),
        "opset is 6",
    ),
    "no opset": (lambda _: changed(lambda m: m.ClearField("opset_import")), "no opset"),
    "operators of our domain": (
        lambda _: parse(
            "g (float[N,2] x) => (float[N,2] y) { y = nmtool.Thing(x) }",
            '<ir_version: 8, opset_import: ["" : 18, "nmtool" : 1]>\n',
        ),
        "domain `nmtool`",
    ),
    "a value named like noisy weights": (
        lambda _: changed(
            lambda m: m.graph.node.add(op_type="Relu", input=["x"], output=["w::noisy"]),
            matmul(nodes="t = Transpose(w)\n y = MatMul(x, t)"),
        ),
        "'w::noisy'",
    ),
    "a node named like ours": (
        lambda _: changed(lambda m: setattr(m.graph.node[0], "name", "nmtool/mine")),
        "nmtool/mine",
    ),
    "an unreadable record": (
        lambda _: changed(lambda m: m.metadata_props.add(key="nmtool.provenance", value="{")),
        "provenance",
    ),
    "a record of another shape": (
        lambda _: changed(lambda m: m.metadata_props.add(key="nmtool.provenance", value="[1]")),
        "provenance",
    ),
    "noise already": (lambda _: model_files.to_proto(inject(matmul()).model), "noisy already"),
}


def spoil(proto: onnx.ModelProto, value: float) -> None:
    weights = onnx.numpy_helper.to_array(proto.graph.initializer[0]).copy()
    weights[1, 0] = value
    proto.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weights, "w"))


def listing(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_size for path in sorted(folder.rglob("*"))}


@pytest.mark.parametrize("case", BAD_MODELS)
def test_bad_model_is_refused(case, tmp_path):
    make, culprit = BAD_MODELS[case]
    source = make(tmp_path)
    before = listing(tmp_path)
    with pytest.raises(ModelError, match=culprit) as refusal:
        inject(source).save(tmp_path / "noisy.onnx")
    assert refusal.value.exit_code == EXIT_MODEL
    assert listing(tmp_path) == before


@pytest.mark.parametrize("case", BAD_MODELS)
@pytest.mark.parametrize("verb", [strip, bake])
def test_bad_model_is_refused_by_the_inverse_verbs_too(verb, case, tmp_path):
    source = BAD_MODELS[case][0](tmp_path)
    if case == "noise already":
        verb(source)
    else:
        with pytest.raises(ModelError):
            verb(source)


BAD_OPTIONS = {
    "negative eta": ({"eta": -0.1}, "eta of noise model `gaussian`.*-0.1"),
    "eta that is NaN": ({"eta": float("nan")}, "eta .* nan"),
    "infinite eta": ({"eta": float("inf")}, "eta .* inf"),
    "negative eta of lognormal": ({"noise": "lognormal", "eta": -1.0}, "eta of noise model `lognormal`"),
    "unknown noise": ({"noise": "gausian"}, "no noise model is called 'gausian'"),
    "parameter of another noise": (
        {"noise": "lognormal", "relative_to": "max"},
        "`lognormal` has no parameter 'relative_to'",
    ),
    "unknown unit": ({"relative_to": "median"}, "'median'"),
    "unknown drawn": ({"drawn": "sometimes"}, "'sometimes'"),
    "fresh chip": ({"drawn": "chip", "fresh": True}, "fresh"),
    "seed above 64 bits": ({"seed": 2**63}, f"seed .* {2**63}"),
    "seed below 64 bits": ({"seed": -(2**63) - 1}, "seed"),
    "negative skip": ({"skip_first": -1}, "skip_first must be >= 0"),
    "include matches nothing": ({"include": ["conv*"]}, r"no analog node matches: conv\*"),
    "exclude matches nothing": ({"exclude": ["y", "zz"]}, "no analog node matches: zz"),
    "operator that is not there": ({"include_ops": ["Conv"]}, "no analog node matches: Conv"),
    "excluded operator that is not there": ({"exclude_ops": ["Conv"]}, "no analog node matches: Conv"),
    "opset below the model's": ({"opset": 17}, "--opset must be from 18 .* not 17"),
    "opset of the future": ({"opset": 999}, "not 999"),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_bad_option_is_refused(case):
    options, culprit = BAD_OPTIONS[case]
    with pytest.raises(UsageError, match=culprit) as refusal:
        inject(matmul(), **options)
    assert refusal.value.exit_code == EXIT_USAGE


def test_a_misspelled_noise_gets_a_suggestion():
    with pytest.raises(UsageError) as refusal:
        noise_model("gausian", {})
    assert refusal.value.hint == "did you mean gaussian?"


@pytest.mark.parametrize("options", [{"skip_first": 1}, {"skip_last": 5}, {"exclude": ["y"]}])
def test_a_selection_that_leaves_nothing_is_an_error_that_says_why(options):
    with pytest.raises(ModelError, match="nothing to make noisy: MatMul: "):
        inject(matmul(), **options)


@pytest.mark.parametrize("options", [{"trial": -1}, {"trial": 2**32}, {"scale": -0.5}, {"scale": float("nan")}])
def test_bake_refuses_what_is_out_of_range(options):
    noisy = inject(matmul()).model
    with pytest.raises(UsageError, match=next(iter(options))):
        bake(noisy, **options)


@pytest.mark.parametrize("verb", [strip, bake])
def test_clean_model_is_refused_by_the_inverse_verbs(verb):
    with pytest.raises(ModelError, match="not noisy"):
        verb(matmul())


def test_nan_weights_pass_when_their_node_is_excluded():
    proto = matmul(WEIGHTS + ", float[2,2] v = {1, 2, 3, 4}", "a = MatMul(x, w)\n y = MatMul(a, v)")
    spoil(proto, np.nan)
    report = inject(proto, exclude=["a"]).report
    assert [(node.array, node.status) for node in report.nodes] == [("w", "digital"), ("v", "noisy")]


def test_content_counts_not_the_extension(tmp_path):
    path = written(tmp_path, matmul().SerializeToString(), "model.txt")
    assert inject(path).report.nodes[0].status == "noisy"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission(tmp_path):
    path = written(tmp_path, matmul().SerializeToString())
    path.chmod(0)
    with pytest.raises(ModelError, match=r"cannot be read: .*Permission denied"):
        inject(path)


def test_eta_zero_is_a_noisy_model_without_noise():
    result = inject(matmul(), eta=0.0)
    assert result.report.nodes[0].sigma == 0
    baked = model_files.to_proto(bake(result.model, trial=3))
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(baked.graph.initializer[0]), [[1, 2], [3, 4]])


@pytest.mark.parametrize("seed", range(400))
def test_only_our_errors_escape_from_a_damaged_file(seed, tmp_path):
    """Bytes of valid clean and noisy files are changed at random, or the file is cut."""
    generator = random.Random(seed)
    content = bytearray(DAMAGED[seed % len(DAMAGED)]())
    for _ in range(generator.randint(1, 6)):
        content[generator.randrange(len(content))] = generator.randrange(256)
    if generator.random() < 0.2:
        del content[generator.randrange(len(content)) :]
    path = written(tmp_path, bytes(content))
    for verb in (inject, strip, bake):
        try:
            result = verb(path)
            model_files.save(getattr(result, "model", result), tmp_path / "out.onnx", force=True)
        except NmtoolError:
            pass
    assert set(listing(tmp_path)) <= {str(path), str(tmp_path / "out.onnx")}


DAMAGED = [
    lambda: matmul().SerializeToString(),
    lambda: matmul(nodes="t = Transpose<perm = [1, 0]>(w)\n r = Relu(x)\n y = MatMul(r, t)").SerializeToString(),
    lambda: model_files.to_proto(inject(matmul()).model).SerializeToString(),
]
