import onnx
import pytest
from checking import outcome
from planted import body, change, louder, noisy, said, two_layers
from running import has_library

RULE = "nm303_sigma"
needs_library = pytest.mark.skipif(not has_library(), reason="needs the operator library")


def test_sigma_is_reported():
    result = outcome(RULE, noisy(two_layers(), eta=0.1))
    v, w = result.findings[-1].facts["arrays"]
    assert (v["array"], w["array"]) == ("v", "w")
    assert v["measured"] == pytest.approx(v["declared"], rel=0.02)


def edited(name, edit, **options):
    """A noisy model with an edited function."""
    proto = noisy(two_layers(options.pop("opset", 18)), **options)
    edit(body(proto, name))
    return proto


def drop_the_noise(function):
    function.node[-1].input[1] = function.input[1]


def ignore_the_scale(function):
    function.node.insert(0, onnx.helper.make_node("Constant", [], ["one"], value_float=1.0))
    function.node[1].input[3] = "one"


def noise_twice(function):
    second = function.node.add()
    second.CopyFrom(function.node[0])
    second.input[0], second.output[0] = "noisy0", "twice"
    second.name = ""
    stock = function.node[1]
    stock.input[1] = "twice"
    order = [function.node[0], second, stock]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in order]
    del function.node[:]
    function.node.extend(copies)


def double_std(function):
    function.node.insert(0, onnx.helper.make_node("Add", ["std", "std"], ["sum"]))
    function.node[1].input[1] = "sum"


def scaled_array(function):
    function.node.insert(0, onnx.helper.make_node("Add", ["B", "B"], ["double"]))
    function.node[1].input[0] = "double"


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("edit", [drop_the_noise, ignore_the_scale, noise_twice, double_std])
def test_an_edited_composite(edit, opset):
    found = said(outcome(RULE, edited("NoisyGemm", edit, opset=opset)))
    assert found
    assert all("array 'w' of node 'y'" in message for message in found)
    assert any("the standard operators" in message for message in found)


def test_an_array_that_is_not_clean_at_scale_0():
    found = said(outcome(RULE, edited("NoisyGemm", scaled_array)))
    assert any("not the clean array at scale 0" in message for message in found)


@needs_library
@pytest.mark.parametrize(("opset", "part"), [(13, "of another distribution"), (18, "other noise than specified")])
def test_a_body_with_5_percent_more_sigma(opset, part):
    """The library's kernel takes the place of the body: only the standard operators are wrong."""

    found = said(outcome(RULE, edited("GaussianNoise", louder, opset=opset)))
    assert len(found) >= 2
    assert all("on the standard operators" in message and part in message for message in found)


def test_a_function_that_is_something_else():
    def add_a_node(function):
        function.node.append(onnx.helper.make_node("Relu", ["Y"], ["Z"]))
        function.output[0] = "Z"

    assert "which the model does not define as nmtool does" in said(outcome(RULE, edited("NoisyGemm", add_a_node)))[0]


def test_stated_parameters_are_taken_as_they_are():
    """Whether they are right is for NM301."""
    result = outcome(RULE, change(noisy(two_layers()), "w::std", lambda std: 1.05 * std))
    assert result.status == "passed"
    w = result.findings[-1].facts["arrays"][1]
    assert w["measured"] == pytest.approx(1.05 * w["declared"], rel=0.02)
