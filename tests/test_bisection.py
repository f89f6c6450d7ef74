"""A planted difference is found wherever it is."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from build import function, model, weights
from nmtool import backends
from nmtool.bisection import first_divergence
from nmtool.passes.expose import exposed, inlined

# Chains, two diamonds, one inside of the other, a branch that nothing uses, and a value that is used twice.
GRAPH = """g (float[4,6] x) => (float[4,6] y, float[4,6] z) {
  [n0] a0 = Mul(x, w0)
  [n1] a1 = Add(a0, w1)
  [n2] a2 = Mul(a1, w2)
  [n3] a3 = Add(a1, w3)
  [n4] a4 = Mul(a3, w4)
  [n5] a5 = Add(a3, w5)
  [n6] a6 = Mul(a4, a5)
  [n7] a7 = Add(a6, w7)
  [n8] a8 = Add(a2, a7)
  [n9] a9 = Mul(a8, w9)
  [n10] a10 = Add(a9, w10)
  [n11] a11 = Mul(a10, a10)
  [n12] a12 = Add(a11, w12)
  [n13] a13 = Mul(a12, w13)
  [n14] a14 = Add(a12, w14)
  [n15] a15 = Mul(a9, w15)
  [n16] a16 = Add(a13, a14)
  [n17] a17 = Mul(a16, w17)
  [n18] y = Add(a17, w18)
  [n19] z = Add(a15, w19) }"""
PERTURBED = [k for k in range(20) if f"w{k})" in GRAPH]
FEEDS = {"x": weights(4, 6)}


def network(perturbed=None):
    arrays = {f"w{k}": weights(6, seed=k) for k in PERTURBED}
    if perturbed is not None:
        arrays[f"w{perturbed}"] = arrays[f"w{perturbed}"] + np.float32(0.1)
    return model(GRAPH, **arrays)


class Values:
    """Runs a model with inner values as outputs, and counts."""

    def __init__(self, proto, feeds=FEEDS):
        self.model, self.feeds, self.runs, self.most = inlined(ir.from_proto(proto)), feeds, 0, 0

    def __call__(self, names):
        self.runs, self.most = self.runs + 1, max(self.most, len(names))
        return dict(zip(names, backends.load(exposed(self.model, names)).run(names, self.feeds), strict=True))


def find(have, want, outputs=("y", "z"), feeds=FEEDS):
    have, want = Values(have, feeds), Values(want, feeds)
    return first_divergence(want.model, outputs, have, want, 1e-4), have


@pytest.mark.parametrize("position", PERTURBED)
def test_a_perturbed_weight_is_found_at_every_position(position):
    found, have = find(network(position), network())
    assert (found.node, found.op_type) == (
        f"n{position}",
        "Add" if position in (1, 3, 5, 7, 10, 12, 14, 18, 19) else "Mul",
    )
    assert found.difference > 1e-4
    assert have.runs <= 6
    assert have.most <= 8


@pytest.mark.parametrize("position", range(20))
def test_a_wrong_operator_is_found_at_every_position(position):
    wrong = network()
    wrong.graph.node[position].op_type = "Sub"
    found, _ = find(wrong, network())
    assert found.node == f"n{position}"
    assert str(found).startswith(f"n{position} (")


def test_of_two_wrong_nodes_one_is_found():
    wrong = network(13)
    wrong.graph.node[3].op_type = "Sub"
    found, _ = find(wrong, network())
    assert found.node in ("n3", "n13")


def test_nothing_is_found_where_nothing_differs():
    assert find(network(), network())[0] is None
    assert find(network(19), network(), ["y"])[0] is None


def test_long_chains_take_few_runs():
    def chain(wrong=None):
        nodes = [onnx.helper.make_node("Neg", [f"v{k}"], [f"v{k + 1}"], f"n{k}") for k in range(200)]
        if wrong is not None:
            nodes[wrong].op_type = "Abs"
        ends = [onnx.helper.make_tensor_value_info(name, 1, [4]) for name in ("v0", "v200")]
        graph = onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:])
        return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)

    for wrong in (0, 1, 98, 99, 199):  # an even number before makes the argument of Abs 1
        found, have = find(chain(wrong), chain(), ["v200"], {"v0": np.ones(4, np.float32)})
        if wrong % 2:
            assert found is None  # Abs of -1 is what Neg gives
        else:
            assert found.node == f"n{wrong}"
            assert have.runs <= 6


def test_functions_are_looked_into():
    def nested(inner):
        call = "g (float[4,6] x) => (float[4,6] y) { [first] a = Relu(x)  [call] y = f.twice(a) }\n"
        body = f"twice (u) => (v) {{ [one] t = Neg(u) [two] v = {inner}(t, t) }}"
        return model(call + function(body), imports=("f",))

    found, _ = find(nested("Mul"), nested("Add"), ["y"])
    assert found.node.endswith("two")


def test_what_a_subgraph_takes_from_outside_is_looked_at():
    def branching(operator):
        return model(
            f"""g (float[4,6] x) => (float[4,6] y) {{
              [outside] a = {operator}(x)
              [yes] c = Constant<value = bool {{1}}>()
              [branch] y = If (c) <
                then_branch = t () => (float[4,6] u) {{ b = Neg(a) u = Neg(b) }},
                else_branch = e () => (float[4,6] v) {{ v = Neg(a) }}> }}"""
        )

    found, _ = find(branching("Abs"), branching("Neg"), ["y"])
    assert found.node == "outside"


def test_sequences_are_passed_over():
    def split(operator):
        return model(
            f"""g (float[4,6] x) => (float[2,6] y) {{
              [before] a = {operator}(x)
              [split] s = SplitToSequence<axis = 0>(a, n)
              [at] y = SequenceAt(s, i) }}""",
            n=np.array(2),
            i=np.array(1),
        )

    assert find(split("Abs"), split("Neg"), ["y"])[0].node == "before"
