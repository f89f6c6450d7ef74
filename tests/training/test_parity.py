"""The gate: a faithful file passes, a corrupted one is refused with the node that differs and never put in place."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from zoo import ZOO

from build import model, weights
from nmtool.errors import EXIT_CHECK_FAILED, CheckError, ModelError
from nmtool.interpreter.precision import widen
from nmtool.model import load
from nmtool.noise.gaussian import Gaussian
from nmtool.payloads import stored_arrays
from nmtool.probe import random_inputs
from nmtool.reimport import reimport

torch = pytest.importorskip("torch")
from nmtool.training.arrays import state, to_numpy, to_tensors
from nmtool.training.difference import difference
from nmtool.training.parity import check_parity, gate
from nmtool.training.student import Placement, Student

MODELS = Path(__file__).parents[3] / "shared/models"
CNN = model(
    """g (float[N,3,8,8] x, int64[N,2] unused) => (float[N,5] y, float[N,8,6,6] h, int64[N] top) {
      [conv] a = Conv(x, k)
      [norm] h = BatchNormalization(a, scale, bias, mean, var)
      [relu] b = Relu(h)
      [pool] c = GlobalAveragePool(b)
      [flat] d = Flatten(c)
      [dense] y = Gemm(d, w, v)
      [top] top = ArgMax <axis = 1, keepdims = 0> (y) }""",
    k=weights(8, 3, 3, 3),
    scale=weights(8),
    bias=weights(8, seed=1),
    mean=weights(8, seed=2),
    var=np.abs(weights(8, seed=3)) + 0.5,
    w=weights(8, 5),
    v=weights(5),
)
FEEDS = random_inputs(load(CNN), batch=4)


def trained(source, step=0.1):
    """A student whose weights have moved, and the weights that are to be written."""
    student = Student(widen(load(source)), Gaussian(), Placement(), seed=3)
    stored = [name for name, _ in stored_arrays(source)]
    tensors = {name: tensor for name, tensor in state(student.graph, student.names).items() if name in stored}
    new = {}
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.requires_grad:
            with torch.no_grad():
                tensor.mul_(1 + step)
            new[name] = to_numpy(tensor)
    return student, new


def test_a_faithful_file_passes(tmp_path):
    student, new = trained(CNN)
    reimport(CNN, new, tmp_path / "out.onnx", verify=gate(student, CNN, FEEDS))
    assert (tmp_path / "out.onnx").exists()
    assert student.training  # the gate works on a copy
    assert set(new) == {"k", "scale", "bias", "w", "v"}


@pytest.mark.parametrize(("array", "node"), [("k", "conv"), ("scale", "norm"), ("w", "dense"), ("v", "dense")])
def test_a_corrupted_array_is_found(array, node, tmp_path):
    student, new = trained(CNN)
    corrupted = {**new, array: new[array] + np.float32(0.2)}
    with pytest.raises(CheckError, match=rf"first node that differs: {node} \(.*, by ") as failure:
        reimport(CNN, corrupted, tmp_path / "out.onnx", verify=gate(student, CNN, FEEDS))
    assert failure.value.exit_code == EXIT_CHECK_FAILED
    assert "more than 0.0001" in failure.value.message
    assert "output 'top'" not in failure.value.message
    assert not list(tmp_path.iterdir())


def test_statistics_that_were_not_written_are_found(tmp_path):
    student, new = trained(CNN)
    with torch.no_grad():
        state(student.graph, student.names)["mean"].add_(1)
    with pytest.raises(CheckError, match=r"output '[yh]' differs by .*: norm \(BatchNormalization"):
        reimport(CNN, new, tmp_path / "out.onnx", verify=gate(student, CNN, FEEDS))


def test_the_tolerance_decides(tmp_path):
    student, new = trained(CNN)
    corrupted = {**new, "v": new["v"] * np.float32(1.001)}
    verify = gate(student, CNN, FEEDS, tolerance=0.01)
    reimport(CNN, corrupted, tmp_path / "out.onnx", verify=verify)


def test_half_precision_has_a_tolerance_of_its_own(tmp_path):
    text = "g (float16[N,64] x) => (float16[N,5] y) { [first] h = MatMul(x, v)  [second] y = MatMul(h, w) }"
    source = model(text, v=weights(64, 64, dtype=np.float16), w=weights(64, 5, dtype=np.float16))
    student, new = trained(source)
    feeds = random_inputs(load(source), batch=4)
    reimport(source, new, tmp_path / "out.onnx", verify=gate(student, source, feeds))
    corrupted = {**new, "w": new["w"] + np.float16(0.5)}
    with pytest.raises(CheckError, match=r"more than 0.02; .*: second \(MatMul"):
        reimport(source, corrupted, tmp_path / "no.onnx", verify=gate(student, source, feeds))


def test_any_callable_can_be_checked(tmp_path):
    source = model("g (float[N,3] x) => (bool[N,3] y) { zero = Constant<value_float = 0.0>() y = Less(x, zero) }")
    onnx.save(source, tmp_path / "m.onnx")
    feeds = {"x": weights(4, 3)}
    check_parity(lambda x: (x < 0,), tmp_path / "m.onnx", feeds, source=source, weights={})
    with pytest.raises(CheckError, match="output 'y' differs by 1 of"):
        check_parity(lambda x: (x >= 0,), tmp_path / "m.onnx", feeds, source=source, weights={})


@pytest.mark.parametrize("entry", [name for name, entry in ZOO.items() if entry.noisy])
def test_every_model_of_the_zoo_passes_unchanged(entry, tmp_path):
    source = ZOO[entry].proto
    try:
        student = Student(widen(load(source)), Gaussian(), Placement(), seed=3)
    except ModelError as error:
        pytest.skip(error.message)
    reimport(source, {}, tmp_path / "out.onnx", verify=gate(student, source, random_inputs(load(source))))


@pytest.mark.parametrize(
    ("name", "size"), [("mnist-cntk", 1), ("resnet20-cifar10", 2), ("yunet-n-dynamic", 64), ("magika-fast-v2_1", 2)]
)
def test_real_models(name, size, tmp_path):
    source = onnx.load(MODELS / f"{name}.onnx")
    student, new = trained(source, step=0.01)
    feeds = random_inputs(load(source), batch=size)
    reimport(source, new, tmp_path / "out.onnx", verify=gate(student, source, feeds))
    array = next(name for name in reversed(new) if new[name].ndim > 1)
    corrupted = {**new, array: 2 * new[array]}
    with pytest.raises(CheckError, match=r"first node that differs: .* \("):
        reimport(source, corrupted, tmp_path / "no.onnx", verify=gate(student, source, feeds))


@pytest.mark.parametrize(
    ("have", "want", "expected"),
    [
        ([1.0, 2.0], [1.0, 2.5], 0.2),
        ([1e-7, 0.0], [0.0, 0.0], 0.0),
        ([1.0], [0.0], np.inf),
        ([np.nan, np.inf, -np.inf], [np.nan, np.inf, -np.inf], 0.0),
        ([np.nan, 1.0], [1.0, 1.0], np.inf),
        ([np.inf], [-np.inf], np.inf),
        ([1.0], [np.inf], np.inf),
        ([], [], 0.0),
        ([1.0, 1.0], [1.0], np.inf),
        ([1, 2, 3, 4], [1, 2, 3, 5], 0.25),
        ([True], [True], 0.0),
    ],
)
def test_difference(have, want, expected):
    assert difference(np.array(have), np.array(want)) == pytest.approx(expected)


def test_bfloat16_in_and_out():
    import ml_dtypes

    array = weights(3).astype(ml_dtypes.bfloat16)
    (tensor,) = to_tensors({"x": array}, ["x"])
    assert tensor.dtype == torch.bfloat16
    np.testing.assert_array_equal(to_numpy(tensor), array.astype(np.float32))
    assert difference(array, array) == 0
