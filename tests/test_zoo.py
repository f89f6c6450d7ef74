"""Every model of the folder ../shared/models beside the checkout, through inject, strip, bake and ONNX Runtime."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from nmtool.backends import ort
from nmtool.errors import ModelError, SetupError
from nmtool.library import library_path
from nmtool.model import load, to_proto
from nmtool.probe import random_inputs
from nmtool.verbs.bake import bake
from nmtool.verbs.inject import Injection, inject
from nmtool.verbs.strip import strip

FOLDER = Path(__file__).parents[2] / "shared/models"
MODELS = sorted(path.stem for path in FOLDER.glob("*.onnx"))
ANALOG = [name for name in MODELS if name != "sklearn-randomforest"]
OPTIONS: dict[str, Mapping[str, object]] = {
    "default": {},
    "dynamic": {"dynamic": True, "per_channel": True},
    "lognormal": {"noise": "lognormal", "seed": -5},
    "stuck": {"noise": "stuck"},
    "fresh": {"fresh": True, "relative_to": "std"},
    "lifted": {"opset": 18},
    "selected": {"skip_first": 1, "skip_last": 1, "include": ["*"]},
}
# inputs where 2 for every open dimension is not what the model takes
SHAPES = {
    "silero-vad-16k-op15": {"input": (1, 512), "state": (2, 1, 128)},
    "ppocr-cls-paddle-op10": {"x": (1, 3, 48, 192)},
    "yunet-n-dynamic": {"input": (1, 3, 64, 64)},
}
# Models with many noisy nodes take the runtime 5 to 20 s to expand, where the library does not replace the generator.
LARGE = {
    "chineseocr-angle-net",
    "dnsmos-sig-bak-ovr",
    "pfld-106-lite",
    "ppocr-cls-paddle-op10",
    "resnet32-cifar10",
    "resnet56-cifar10",
    "ultraface-slim-320",
    "yolox-nano",
    "yunet-n-dynamic",
}
# Largest difference, relative to the output's largest value. The runtime folds constant weights into their neighbours,
# noisy ones not, so that sums are rounded otherwise; the networks amplify that by up to:
TOLERANCE = 2e-5

pytestmark = pytest.mark.skipif(not MODELS, reason=f"no models in {FOLDER}")


@cache
def injected(name: str, option: str) -> Injection:
    return inject(FOLDER / f"{name}.onnx", **OPTIONS[option])


@cache
def feeds(name: str) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(1)
    special = SHAPES.get(name, {})
    given = random_inputs(load(FOLDER / f"{name}.onnx"), batch=2)
    given = {
        key: generator.standard_normal(special[key], np.float32) if key in special else x for key, x in given.items()
    }
    if "sr" in given:
        given["sr"] = np.array(16000, np.int64)
    return given


def open_session(model: ir.Model, library: bool = False) -> ort.onnxruntime.InferenceSession:
    return ort.session(model, library=library, optimization="basic", threads=2)


def run(session: ort.onnxruntime.InferenceSession, name: str, **noise: float) -> dict[str, np.ndarray]:
    types = {"trial": np.int64, "scale": np.float32}
    values = {f"noise_{key}": np.array(value, types[key]) for key, value in noise.items()}
    outputs = session.run(None, {**feeds(name), **values})
    return {output.name: value for output, value in zip(session.get_outputs(), outputs, strict=True)}


@cache
def clean(name: str) -> dict[str, np.ndarray]:
    """Outputs of the source model: those of floating point that are the same at every run."""
    model = load(FOLDER / f"{name}.onnx")
    random = any(node.op_type == "Multinomial" for node in model.graph.all_nodes())
    session = open_session(model)
    first = run(session, name)
    second = run(session, name) if random else first
    return {key: x for key, x in first.items() if x.dtype.kind == "f" and np.array_equal(x, second[key])}


def assert_close(
    actual: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], tolerance: float = TOLERANCE
) -> None:
    assert expected
    for key, x in expected.items():
        limit = tolerance * max(float(np.max(np.abs(x), initial=0)), 0.01)
        np.testing.assert_allclose(actual[key], x, rtol=0, atol=limit, err_msg=key)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", ANALOG)
def test_noisy_model_is_valid_and_strips_to_its_source(name, option):
    try:
        result = injected(name, option)
    except ModelError:
        assert option == "selected"  # of a single analog node, the first and the last leave nothing
        return
    onnx.checker.check_model(to_proto(result.model), full_check=True)
    assert any(node.status == "noisy" for node in result.report.nodes)
    assert all(node.reason for node in result.report.nodes if node.status == "digital")
    if option == "lifted":
        return
    source, back = to_proto(load(FOLDER / f"{name}.onnx")), to_proto(strip(result.model))
    assert back.SerializeToString(deterministic=True) == source.SerializeToString(deterministic=True)


@pytest.mark.parametrize("option", ["default", "dynamic", "stuck"])
@pytest.mark.parametrize("name", ANALOG)
def test_without_noise_it_computes_what_the_source_does(name, option):
    assert_close(run(open_session(injected(name, option).model), name, scale=0.0), clean(name))


def check_trial(name: str, option: str, library: bool) -> None:
    """No noise at scale 0; at a trial, what `bake` says."""
    noisy = injected(name, option).model
    session = open_session(noisy, library)
    assert_close(run(session, name, scale=0.0), clean(name))
    actual = run(session, name, trial=7, scale=0.25)
    assert any(not np.array_equal(actual[key], x) for key, x in clean(name).items())
    baked = bake(noisy, trial=7, scale=0.25)
    onnx.checker.check_model(to_proto(baked), full_check=True)
    assert not any(node.domain == "nmtool" for node in baked.graph.all_nodes())
    expected = run(open_session(baked), name)
    assert_close(actual, {key: expected[key] for key in clean(name)})


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in LARGE else n for n in ANALOG])
def test_baked_model_is_the_noisy_model_at_that_trial(name):
    check_trial(name, "lifted", library=False)


@pytest.mark.parametrize("option", ["default", "lifted"])
@pytest.mark.parametrize("name", ANALOG)
def test_library_computes_what_is_baked(name, option):
    try:
        library_path()
    except SetupError as error:
        pytest.skip(error.message)
    check_trial(name, option, library=True)


@pytest.mark.skipif("sklearn-randomforest" not in MODELS, reason="the model is not there")
def test_a_forest_has_nothing_to_make_noisy():
    with pytest.raises(ModelError, match="nothing to make noisy: the model has no operator that maps to analog arrays"):
        inject(FOLDER / "sklearn-randomforest.onnx")
