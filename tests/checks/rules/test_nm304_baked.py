import onnx
import pytest
from checking import outcome
from planted import body, calls, louder, noisy, said, set_attribute, two_layers
from running import has_library
from zoo import ZOO

from nmtool.noise import Gaussian
from nmtool.noise.stream import stream_of

RULE = "nm304_baked"
HERE = {"backends": ["onnxruntime", "reference"]}

needs_library = pytest.mark.skipif(not has_library(), reason="needs the operator library")


@needs_library
@pytest.mark.parametrize("options", [{}, {"noise": "lognormal"}, {"noise": "stuck"}, {"per_channel": True}])
def test_passes(options):
    result = outcome(RULE, noisy(two_layers(), **options), **HERE)
    assert result.status == "passed"
    backend, library, bodies = said(result, "note")
    assert backend.startswith("onnxruntime: agrees with onnx reference evaluator")
    assert library.startswith("the noisy model at trial 1 on the operator library is its baked sample")
    assert bodies.startswith("the noisy model at trial 1 on standard operators is its baked sample")


@pytest.mark.parametrize("name", ["conv_2d_bias", "lstm", "qdq_channel", "function_nested", "if_branches", "float16"])
def test_forms_of_arrays(name):
    assert said(outcome(RULE, noisy(ZOO[name].proto), **HERE)) == []


def test_noise_of_the_request():
    assert outcome(RULE, two_layers(), noise=Gaussian(0.1), **HERE).status == "passed"


def test_values_that_are_the_runtimes_own_are_compared_with_nothing():
    result = outcome(RULE, noisy(two_layers(), fresh=True), **HERE)
    assert result.status == "passed"
    assert not any("noisy model" in message for message in said(result, "note"))


def test_a_body_that_draws_other_noise():
    proto = noisy(two_layers())
    louder(body(proto, "GaussianNoise"))
    (message,) = said(outcome(RULE, proto, **HERE))
    assert message.startswith("the noisy model at trial 1 on standard operators is not its baked sample: 'y'")


def test_a_composite_that_bake_does_not_understand():
    proto = noisy(two_layers())
    function = body(proto, "NoisyGemm")
    function.node.insert(0, onnx.helper.make_node("Add", ["std", "std"], ["sum"]))
    function.node[1].input[1] = "sum"
    result = outcome(RULE, proto, **HERE)
    assert result.status == "not checked"
    assert "does not define as nmtool does" in said(result, "not checked")[0]


def test_the_node_decides_which_noise_is_baked():
    """Whether that is the declared one is for NM302."""
    proto = noisy(two_layers())
    set_attribute(calls(proto)[1], "stream", stream_of("v"))
    assert outcome(RULE, proto, **HERE).status == "passed"


def test_a_model_without_noise_is_not_checked():
    assert outcome(RULE, two_layers()).status == "not checked"
