import onnx
import pytest
from checking import outcome
from planted import body, louder, noisy, said, two_layers
from running import has_library

from nmtool.noise import Gaussian

RULE = "nm305_distribution"
ONE = {"backends": ["onnxruntime"]}

pytestmark = pytest.mark.skipif(not has_library(), reason="needs the operator library")


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("options", [{}, {"noise": "lognormal"}, {"fresh": True}])
def test_library_and_bodies_agree(opset, options):
    """Fresh noise has no seed, so this test raises false alarms as often as the rule: here once in 10,000 times."""
    alpha = 1e-4 if options.get("fresh") else 0.01
    result = outcome(RULE, noisy(two_layers(opset), **options), trials=60, alpha=alpha, **ONE)
    assert said(result) == []
    (finding,) = result.findings
    assert finding.message.startswith(
        "onnxruntime with standard operators: as on onnxruntime with the operator library"
    )
    assert finding.facts["trials"] == 60
    assert 0.9 < finding.facts["sigma_ratio"] < 1.1
    assert finding.facts["sigma_ratio"] != pytest.approx(1, abs=1e-5), "the two sides must not draw the same noise"


def test_5_percent_more_sigma_are_found():
    """With the default trials and alpha; the probability of that is above 90 %, as the figure in the facts says."""
    proto = noisy(two_layers())
    louder(body(proto, "GaussianNoise"))
    result = outcome(RULE, proto, **ONE)
    (message,) = said(result)
    assert "onnxruntime with standard operators: outputs under noise are distributed otherwise" in message
    assert "variance" in message
    assert result.findings[0].facts["sigma_ratio"] == pytest.approx(1.05, rel=0.02)
    assert result.findings[0].facts["detectable"] < 0.05


@pytest.mark.parametrize("eta", [1e-4, 0.05])
def test_equal_noise_is_not_told_apart_however_small(eta):
    """At a small eta the rounding of the two sides would show, were it not subtracted."""
    assert said(outcome(RULE, noisy(two_layers(), eta=eta), trials=100, **ONE)) == []


def test_noise_that_is_missing_on_one_side():
    proto = noisy(two_layers())
    function = body(proto, "GaussianNoise")
    del function.node[:]
    function.node.append(onnx.helper.make_node("Identity", ["x"], ["y"]))
    (finding,) = outcome(RULE, proto, trials=20, **ONE).findings
    assert finding.severity == "error"
    assert finding.facts["sigma_ratio"] < 1e-6


def test_outputs_that_do_not_change():
    proto = noisy(two_layers())
    result = outcome(RULE, proto, trials=5, noise=None, **ONE)
    assert result.status == "passed"
    for node in proto.graph.node:
        node.input[:] = ["nothing" if name == "noise_scale" else name for name in node.input]
    proto.graph.initializer.append(onnx.helper.make_tensor("nothing", onnx.TensorProto.FLOAT, [], [0.0]))
    assert said(outcome(RULE, proto, trials=5, **ONE), "warning") == ["no output changes with the noise in 5 trials"]


def test_noise_of_the_request_on_other_backends_and_absent_ones():
    names = ["reference", "openvino"]
    result = outcome(RULE, two_layers(), noise=Gaussian(0.1), backends=names, trials=10, alpha=0.5)
    backends = [finding.facts.get("backend") for finding in result.findings]
    assert set(backends) == {"onnxruntime with standard operators", *names}


def test_a_model_without_noise_is_not_checked():
    assert outcome(RULE, two_layers()).status == "not checked"
