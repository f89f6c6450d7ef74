"""Factors on the noise of each array, and twins that show it, on every model of the zoo."""

import numpy as np
import onnx_ir as ir
import pytest
from running import run_ort
from zoo import ZOO, Entry

from nmtool import provenance
from nmtool.errors import ModelError
from nmtool.ops import LAYERS, SCALE
from nmtool.passes.graphs import label
from nmtool.passes.layer_scales import LayerScales
from nmtool.passes.noisy_layers import noisy_layers
from nmtool.passes.twins import Twins
from nmtool.probe import random_inputs
from nmtool.verbs.inject import inject

NAMES = [name for name in ZOO if not name.startswith("opset_") or name == "opset_18"]


def close(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return all(np.allclose(x, y, rtol=2e-3, atol=1e-5) for x, y in zip(a, b, strict=True))


@pytest.fixture(params=NAMES)
def entry(request: pytest.FixtureRequest) -> Entry:
    return ZOO[request.param]


@pytest.fixture
def noisy(entry: Entry) -> ir.Model:
    return inject(entry.proto, **{**entry.options, "eta": 0.2}).model


def feeds_of(entry: Entry) -> dict[str, np.ndarray]:
    return random_inputs(ir.from_proto(entry.proto), batch=2)


def factors(model: ir.Model, values: np.ndarray) -> dict[str, np.ndarray]:
    record = provenance.read(model)
    return {record.inputs[LAYERS]: values.astype(np.float32)}


def test_every_noisy_array_is_found_once(entry, noisy):
    found = noisy_layers(noisy)
    arrays = [layer.array for layer in found]
    assert len(set(arrays)) == len(arrays)
    assert set(filter(None, entry.noisy)) <= set(arrays)
    assert len(found) == len({name or f"activation {k}" for k, name in enumerate(entry.noisy)})


def test_factors_of_one_change_nothing_and_factors_of_zero_leave_the_clean_model(entry, noisy):
    feeds = feeds_of(entry)
    before = run_ort(noisy, feeds)
    clean = run_ort(noisy, {**feeds, provenance.read(noisy).scale_input: np.array(0, np.float32)})
    scales = LayerScales()
    model = scales(noisy.clone()).model
    count = len(scales.layers)
    if provenance.read(noisy).exact:
        assert close(run_ort(model, feeds), before)
        assert close(run_ort(model, {**feeds, **factors(model, np.ones(count))}), before)
    assert close(run_ort(model, {**feeds, **factors(model, np.zeros(count))}), clean)


def test_each_factor_is_that_of_one_array():
    entry = ZOO["tied_direct"]
    model = inject(_two_layers(), eta=0.3).model
    scales = LayerScales()
    model = scales(model).model
    x = {"x": np.ones((1, 3), np.float32)}
    clean = run_ort(model, {**x, **factors(model, np.zeros(2))})
    first = run_ort(model, {**x, **factors(model, np.array([1, 0]))})
    second = run_ort(model, {**x, **factors(model, np.array([0, 1]))})
    assert not close(first[:1], clean[:1])  # h, behind the first array
    assert close(second[:1], clean[:1])
    assert not close(second[1:], clean[1:])
    assert len(noisy_layers(inject(entry.proto).model)) == 1  # a tied array has one factor


def test_a_twin_is_the_node_with_its_noise_alone(entry, noisy):
    scales, twins = LayerScales(), Twins()
    model = twins(scales(noisy).model).model
    if not twins.pairs or not provenance.read(model).exact:
        return
    feeds, record = feeds_of(entry), provenance.read(model)
    names = [value.name for value in model.graph.outputs]
    alone = dict(zip(names, run_ort(model, {**feeds, **factors(model, np.zeros(len(scales.layers)))}), strict=True))
    silent = {record.scale_input: np.array(0, np.float32)}
    clean = dict(zip(names, run_ort(model, {**feeds, **silent}), strict=True))
    for pair in twins.pairs:
        own = [
            any(site.graph is model.graph and label(site.node) == pair.node for site in layer.users)
            for layer in scales.layers
        ]
        only = dict(zip(names, run_ort(model, {**feeds, **factors(model, np.array(own))}), strict=True))
        if _reads_itself(entry):
            continue
        assert close([only[pair.output]], [alone[pair.twin]]), pair
        assert close([clean[pair.output]], [alone[pair.output]]), pair
        assert close([clean[pair.twin]], [clean[pair.output]]), pair


def test_what_has_no_noise_is_refused():
    with pytest.raises(ModelError, match="no noise"):
        LayerScales()(ir.from_proto(_two_layers()))
    with pytest.raises(ModelError, match="no factors"):
        Twins()(inject(_two_layers()).model)
    assert SCALE in inject(_two_layers()).model.graph.initializers


def _reads_itself(entry: Entry) -> bool:
    """Whether an array comes before one of its own users: then noise in it alone reaches the input of that user."""
    return len(set(entry.noisy)) < len(entry.noisy)


def _two_layers():
    from build import model, weights

    text = "g (float[1,3] x) => (float[1,4] h, float[1,2] y) { h = MatMul(x, a) y = MatMul(h, b) }"
    return model(text, a=weights(3, 4), b=weights(4, 2))
