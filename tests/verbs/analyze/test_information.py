"""The whole way from a model to bits, on a network whose information is known exactly."""

import numpy as np
import onnx
import pytest
from sign_network import SignNetwork, information, network

import nmtool
from build import model
from nmtool.errors import UsageError
from nmtool.noise import Gaussian

NET = network(n=7, hidden=5, classes=3, sigma=0.5)
LABELS = SignNetwork(NET.first, NET.second, 1e-9).draw(1, 0, shared=True)[0]  # what it decides without noise
DRAWS = 150


@pytest.fixture(scope="module")
def toy() -> onnx.ModelProto:
    text = "g (float[N,7] x) => (float[N,3] y) { h = MatMul(x, a) s = Sign(h) y = MatMul(s, b) }"
    return model(text, a=NET.first.T.astype(np.float32), b=NET.second.T.astype(np.float32))


@pytest.fixture(scope="module")
def data() -> dict[str, np.ndarray]:
    return {"x": NET.inputs.astype(np.float32), "labels": LABELS}


@pytest.fixture(scope="module")
def found(toy, data):
    """Noise of half the standard deviation of each array, and of twice that: sigma is set by the unit."""
    return nmtool.analyze(
        {"toy": toy}, data, parts="information", noise=Gaussian(1.0, "std"), eta=0.5, curve="0,0.5,1", draws=DRAWS
    )


def exact(eta: float) -> SignNetwork:
    """The network with noise relative to the standard deviations of its arrays, scaled to one sigma for both layers."""
    first, second = NET.first / NET.first.std(), NET.second / NET.second.std()  # signs and decisions stay the same
    return SignNetwork(first, second, eta)


@pytest.mark.parametrize("eta", [0.5, 1.0])
def test_read_noise(found, eta):
    point = next(p for p in found.information.curves[0].points if p.eta == eta)
    truth = information(exact(eta).decisions())
    assert point.low - 0.03 <= truth <= point.high + 0.03
    assert point.high - point.low < 0.15
    values, counts = np.unique(LABELS, return_counts=True)
    given = np.array([exact(eta).decisions()[label == LABELS].mean(axis=0) for label in values])
    assert point.label == pytest.approx(information(given, counts / counts.sum()), abs=0.04)


def test_information_falls_with_the_noise_and_chips_keep_more(found):
    points = found.information.curves[0].points
    for values in ([p.read for p in points], [p.chip for p in points], [p.label for p in points]):
        assert values == sorted(values, reverse=True)
    assert points[0].read == pytest.approx(points[0].chip)  # without noise there is nothing to know about a chip
    assert all(point.chip > point.read for point in points[1:])
    assert all(point.label <= point.read + 1e-9 for point in points)
    assert points[0].label == pytest.approx(found.information.labels.entropy)  # the labels are its own decisions


def test_estimates_converge_from_above(found):
    draws = found.to_json()["information"]["convergence"][0]["draws"]
    assert [each["trials"] for each in draws] == [4, 8, 16, 32, 64, 128, 150]
    plugin = [each["plugin_bits"] for each in draws]
    assert plugin[0] > plugin[2] > plugin[-1]
    assert abs(draws[-1]["read_bits"] - draws[-2]["read_bits"]) < 0.02


def test_layers_lose_what_they_cannot_get_back(found):
    first, second = found.information.layers
    assert 7 >= first.infonce > second.infonce > 0
    assert first.linear_low <= 7
    assert first.linear_low <= first.linear_high
    assert first.infonce <= first.linear_high + 0.1  # nothing comes before the first layer
    assert second.infonce <= first.linear_high + 0.1  # data processing


def test_several_models_have_a_curve_each(toy, data):
    noisy = nmtool.inject(toy, noise=Gaussian(0.5, "std")).model
    options = {"parts": "information", "noise": Gaussian(1.0, "std"), "eta": 0.5, "curve": "0.5", "draws": 10}
    both = nmtool.analyze({"plain": toy, "noisy": noisy}, data, **options).information
    assert [curve.name for curve in both.curves] == ["plain", "noisy"]
    assert both.curves[0].points == both.curves[1].points
    assert both.labels.entropy < np.log2(3)
    assert both.labels.input_bits == 7


def test_data_without_labels(toy, data):
    found = nmtool.analyze(toy, {"x": data["x"]}, metric="agreement", parts="information", eta=0.1, draws=8)
    assert found.information.labels.entropy is None
    assert found.to_json()["information"]["models"][0]["curve"][0]["label_bits"] is None


def test_what_is_no_classifier_is_refused(data):
    text = "g (float[N,7] x) => (float[N,1] y) { y = MatMul(x, a) }"
    regressor = model(text, a=np.arange(7, dtype=np.float32)[:, None])
    with pytest.raises(UsageError, match="no classifier"):
        nmtool.analyze(regressor, {"x": data["x"]}, metric="mse", parts="information")
