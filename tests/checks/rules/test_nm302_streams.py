import onnx
import pytest
from checking import outcome
from planted import body, calls, change, noisy, record, said, set_attribute, two_layers
from zoo import ZOO

from nmtool.noise.stream import stream_of

RULE = "nm302_streams"


@pytest.mark.parametrize("options", [{}, {"per_channel": True, "seed": -3}, {"fresh": True}, {"noise": "stuck"}])
def test_passes(options):
    result = outcome(RULE, noisy(two_layers(), **options))
    assert result.status == "passed"
    assert said(result, "note") == [f"2 streams of seed {options.get('seed', 0)} in 2 noisy nodes"]


def test_one_node_with_another_seed():
    proto = noisy(two_layers(), seed=7)
    set_attribute(calls(proto)[1], "seed", 8)
    assert said(outcome(RULE, proto)) == ["seed of array 'w' in node 'y' is 8, not 7"]


def test_another_seed_in_the_record():
    assert len(said(outcome(RULE, record(noisy(two_layers()), seed=1)))) == 2


def test_two_arrays_of_one_stream():
    proto = noisy(two_layers())
    set_attribute(calls(proto)[1], "stream", stream_of("v"))
    found = said(outcome(RULE, proto))
    assert f"stream of array 'w' in node 'y' is {stream_of('v')}, not {stream_of('w')}" in found
    assert f"arrays 'v' and 'w' share stream {stream_of('v')}: equal noise" in found


def test_two_nodes_of_one_array_share_its_stream():
    assert outcome(RULE, noisy(ZOO["tied_direct"].proto)).status == "passed"


def test_the_number_of_a_draw():
    composite, primitive = noisy(two_layers()), noisy(ZOO["lstm"].proto)
    set_attribute(body(composite, "NoisyGemm").node[0], "draw", 1)
    set_attribute(calls(primitive)[0], "draw", 3)
    assert said(outcome(RULE, composite)) == ["draws of array 'w' in node 'y' are numbered [1], not [0]"]
    assert "are numbered [3], not [0]" in said(outcome(RULE, primitive))[0]


def test_a_stream_inside_the_body():
    proto = noisy(two_layers())
    attribute = next(a for a in body(proto, "NoisyGemm").node[0].attribute if a.name == "stream")
    attribute.CopyFrom(onnx.helper.make_attribute("stream", 5))
    assert said(outcome(RULE, proto)) == ["function 'NoisyGemm' has a seed or a stream of its own"]


@pytest.mark.parametrize(("index", "name"), [(-2, "noise_trial"), (-1, "noise_scale")])
def test_a_node_that_does_not_take_the_noise_inputs(index, name):
    proto = noisy(ZOO["function_inside"].proto)
    dtype = onnx.TensorProto.INT64 if index == -2 else onnx.TensorProto.FLOAT
    proto.graph.initializer.append(onnx.helper.make_tensor("own", dtype, [], [1]))
    node = proto.graph.node[0]
    node.input[len(node.input) + index] = "own"
    assert f"takes 'own' where the noise input {name!r} belongs" in said(outcome(RULE, proto))[0]


def test_an_input_that_became_a_constant():
    proto = noisy(two_layers())
    del proto.graph.input[1]
    assert said(outcome(RULE, proto)) == ["'noise_trial' is not an input of the model: its value is fixed"]


def test_a_fresh_trial_that_became_a_constant():
    proto = noisy(two_layers(), fresh=True)
    assert outcome(RULE, proto).status == "passed"
    (last,) = [node for node in proto.graph.node if "noise_trial" in node.output]
    last.input[:] = ["nmtool::trial_base", "nmtool::trial_base"]
    assert said(outcome(RULE, proto)) == ["'noise_trial' is not drawn at random: its value is fixed"]


def test_parameters_are_not_its_business():
    assert outcome(RULE, change(noisy(two_layers()), "w::std", lambda std: 2 * std)).status == "passed"
