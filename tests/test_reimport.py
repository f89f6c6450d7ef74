"""Re-import: the named arrays change, nothing else does, and every name is accounted for."""

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray
from running import run_ort
from zoo import ZOO

from build import constant, function, model, weights
from nmtool.errors import ModelError, UsageError
from nmtool.model import load, save
from nmtool.passes.constants import stored_tensor
from nmtool.passes.graphs import FullNames, graphs
from nmtool.payloads import PAYLOAD_FIELDS, stored_arrays, tensors
from nmtool.reimport import reimport

MODELS = sorted((Path(__file__).parents[2] / "shared/models").glob("*.onnx"))
TEXT = "g (float[2,3] x) => (float[2,4] y) { z = MatMul(x, w)\n y = Add(z, b) }"


def without_payloads(proto: onnx.ModelProto) -> bytes:
    cleared = onnx.ModelProto()
    cleared.CopyFrom(proto)
    for tensor in tensors(cleared):
        for field in PAYLOAD_FIELDS:
            tensor.ClearField(field)
    return cleared.SerializeToString(deterministic=True)


def floats(proto: onnx.ModelProto, folder: Path = Path()) -> dict[str, NDArray]:
    kinds = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)
    return {
        name: onnx.numpy_helper.to_array(tensor, str(folder))
        for name, tensor in stored_arrays(proto)
        if tensor.data_type in kinds
    }


def ones(*shape: int) -> NDArray:
    return np.ones(shape, np.float32)


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
@pytest.mark.parametrize("step", [0.0, 0.5])
def test_real_models(path: Path, step: float, tmp_path: Path) -> None:
    source = onnx.load(path)
    arrays = floats(source)
    expected = {name: (array + np.float32(step)).astype(array.dtype) for name, array in arrays.items()}
    report = reimport(path, expected, tmp_path / "new.onnx")
    written = onnx.load(tmp_path / "new.onnx")
    assert report.files == (tmp_path / "new.onnx",)
    assert [change.name for change in report.changes] == list(arrays)
    if step == 0:
        assert report.changed == 0
        assert (tmp_path / "new.onnx").read_bytes() == path.read_bytes()
        return
    assert without_payloads(written) == without_payloads(source)
    assert report.changed == sum((array != expected[name]).any() for name, array in arrays.items())
    for name, array in floats(written).items():
        np.testing.assert_array_equal(array, expected[name])
    for (name, before), (_, after) in zip(stored_arrays(source), stored_arrays(written), strict=True):
        assert name in arrays or before == after


@pytest.mark.parametrize("entry", ZOO.values(), ids=ZOO.keys())
def test_names_are_those_of_the_passes(entry) -> None:
    loaded = load(entry.proto)
    full_name = FullNames(loaded)
    values = [
        value
        for graph, _ in graphs(loaded)
        for value in (*graph.initializers.values(), *(output for node in graph for output in node.outputs))
    ]
    expected = {full_name(value) for value in values if stored_tensor(value) is not None}
    assert {name for name, _ in stored_arrays(entry.proto)} == expected


def test_runs_with_the_new_values_and_reports_the_change(tmp_path: Path) -> None:
    w, b = weights(3, 4), weights(4)
    new, x = weights(3, 4, seed=1), weights(2, 3)
    report = reimport(model(TEXT, w=w, b=b), {"w": new, "b": b}, tmp_path / "new.onnx", trained=["b", "w"])
    (y,) = run_ort(onnx.load(tmp_path / "new.onnx"), {"x": x})
    np.testing.assert_allclose(y, x @ new + b, rtol=1e-6)
    first, second = report.changes
    assert (first.name, first.dtype, first.shape, first.rounding) == ("w", "float", (3, 4), 0)
    assert first.norm == pytest.approx(np.linalg.norm(w))
    assert first.change == pytest.approx(np.linalg.norm(new - w))
    assert second.change == 0
    assert report.changed == 1
    assert report.to_json()["changes"][1]["name"] == "b"


def test_constants_in_functions_and_subgraphs(tmp_path: Path) -> None:
    text = f"""g (float[2,3] x, bool flag) => (float[2,3] y) {{
      z = f.double (x)
      y = If (flag) <then_branch = t () => (float[2,3] a) {{ k = {constant(weights(3))}
        a = Add (z, k) }}, else_branch = e () => (float[2,3] b) {{ b = Identity (z) }}>
    }}""" + function(f"double (x) => (y) {{ c = {constant(weights(3, seed=1))}\n y = Mul (x, c) }}")
    source = model(text, imports=("f",))
    values = {"y/then_branch/k": 5 * ones(3), "f::double/c": 2 * ones(3)}
    reimport(source, values, tmp_path / "new.onnx")
    written, x = onnx.load(tmp_path / "new.onnx"), weights(2, 3)
    assert without_payloads(written) == without_payloads(source)
    np.testing.assert_allclose(run_ort(written, {"x": x, "flag": np.array(True)})[0], 2 * x + 5, rtol=1e-6)


@pytest.mark.parametrize("dtype", [onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE])
def test_types_are_kept_and_rounding_is_reported(dtype: int, tmp_path: Path) -> None:
    w = onnx.helper.make_tensor("w", dtype, [3, 4], weights(3, 4).reshape(-1))
    name = onnx.TensorProto.DataType.Name(dtype).lower()
    source = model(f"g ({name}[2,3] x) => ({name}[2,4] y) {{ y = MatMul(x, w) }}", w=w)
    new = weights(3, 4, seed=1)
    report = reimport(source, {"w": new}, tmp_path / "new.onnx")
    written = onnx.load(tmp_path / "new.onnx")
    assert without_payloads(written) == without_payloads(source)
    rounded = onnx.numpy_helper.to_array(written.graph.initializer[0]).astype(np.float64)
    steps = {"float16": 2**-11, "bfloat16": 2**-8, "double": 0}
    np.testing.assert_allclose(rounded, new, rtol=steps[name])
    assert report.changes[0].dtype == name
    assert report.changes[0].rounding == pytest.approx(np.linalg.norm(rounded - new))
    assert (report.changes[0].rounding > 0) == (name != "double")


def external(folder: Path) -> Path:
    w, b = weights(300, 4), weights(4)
    source = load(model("g (float[2,300] x) => (float[2,4] y) { z = MatMul(x, w)\n y = Add(z, b) }", w=w, b=b))
    ir.save(source, folder / "source.onnx", external_data="source.data", size_threshold_bytes=0)
    return folder / "source.onnx"


@pytest.mark.parametrize("names", [(), ("w",), ("w", "b")])
def test_external_data_stays_external_in_a_file_of_its_own(names: tuple[str, ...], tmp_path: Path) -> None:
    path = external(tmp_path)
    before = path.with_name("source.data").read_bytes()
    values = {"w": ones(300, 4), "b": ones(4)}
    report = reimport(path, {name: values[name] for name in names}, tmp_path / "new.onnx")
    assert report.files == (tmp_path / "new.onnx.data", tmp_path / "new.onnx")
    assert path.with_name("source.data").read_bytes() == before
    path.with_name("source.data").unlink()
    lean = onnx.load(tmp_path / "new.onnx", load_external_data=False)
    assert all(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in lean.graph.initializer)
    assert without_payloads(lean) == without_payloads(onnx.load(path, load_external_data=False))
    arrays = floats(onnx.load(tmp_path / "new.onnx"))
    expected = {"w": weights(300, 4), "b": weights(4)} | {name: values[name] for name in names}
    for name, array in expected.items():
        np.testing.assert_array_equal(arrays[name], array)
    save(load(tmp_path / "new.onnx"), tmp_path / "again.onnx")


def test_onto_itself(tmp_path: Path) -> None:
    path = external(tmp_path)
    with pytest.raises(UsageError, match="exists"):
        reimport(path, {}, path)
    reimport(path, {"w": ones(300, 4)}, path, force=True)
    assert (floats(onnx.load(path))["w"] == 1).all()


@pytest.mark.parametrize(
    ("values", "trained", "message"),
    [
        ({"w": ones(3, 4), "v": ones(1), "u": ones(1)}, None, "stores no such array: 'u', 'v'"),
        ({"w": ones(3, 4)}, ["w", "b"], "without new values: 'b'"),
        ({"w": ones(3, 4), "b": ones(4)}, ["w"], "not trained: 'b'"),
        ({"w": ones(4, 3)}, None, r"'w' has shape \[3, 4\], its new values have \[4, 3\]"),
        ({"w": np.ones((3, 4), np.int64)}, None, "'w' is of type FLOAT, its new values are int64"),
        ({"w": np.nan * ones(3, 4)}, None, "'w' that are not finite: 12 of 12"),
        ({"w": 1e300 * np.ones((3, 4))}, None, "'w' that are not in the range of FLOAT: 12 of"),
    ],
)
def test_refused(values: dict, trained: list[str] | None, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message):
        reimport(model(TEXT, w=weights(3, 4), b=weights(4)), values, tmp_path / "new.onnx", trained=trained)
    assert not list(tmp_path.iterdir())


def test_what_verify_refuses_leaves_no_file(tmp_path: Path) -> None:
    path = external(tmp_path)
    seen = []

    def verify(staged: Path) -> None:
        seen.append(floats(onnx.load(staged))["b"].tolist())
        raise ModelError("parity")

    with pytest.raises(ModelError, match="parity"):
        reimport(path, {"b": 0 * ones(4)}, tmp_path / "new.onnx", verify=verify)
    assert seen == [[0, 0, 0, 0]]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["source.data", "source.onnx"]


def test_metadata_is_set_and_nothing_else(tmp_path: Path) -> None:
    source = model(TEXT, w=weights(3, 4), b=weights(4))
    for key in ("author", "how", "licence"):
        source.metadata_props.add(key=key, value="old")
    reimport(source, {}, tmp_path / "new.onnx", metadata={"how": "trained", "when": "now"})
    written = onnx.load(tmp_path / "new.onnx")
    found = {entry.key: entry.value for entry in written.metadata_props}
    assert found == {"author": "old", "how": "trained", "licence": "old", "when": "now"}
    assert len(written.metadata_props) == len(found)
    for each in (source, written):
        del each.metadata_props[:]
    assert written == source


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="folder of the output"):
        reimport(model(TEXT, w=weights(3, 4), b=weights(4)), {}, tmp_path / "missing/new.onnx")
