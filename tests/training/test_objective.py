"""Which values the loss is on, and by which loss."""

import numpy as np
import pytest
from running import run_ort

from build import model, weights
from nmtool.errors import ModelError, UsageError
from nmtool.model import load, to_proto
from nmtool.recipes import Recipe

torch = pytest.importorskip("torch")
from nmtool.training.objective import expose, resolve, target_of

CLASSIFIER = model("g (float[N,5] x) => (float[N,4] p) { s = MatMul(x, w)  p = Softmax(s) }", w=weights(5, 4))
TWO_HEADS = model(
    "g (float[N,5] x) => (float[N,4] scores, float[N,1] value, int64[N] top) {"
    " scores = MatMul(x, w)  h = MatMul(x, v)  value = Sigmoid(h)  top = ArgMax<axis=1, keepdims=0>(scores) }",
    w=weights(5, 4),
    v=weights(5, 1),
)


def terms(proto, *specifications, **settings):
    objective = resolve(load(proto), specifications, Recipe(**settings))
    return [(term.value, term.position, term.kind, term.weight) for term in objective.terms]


def test_a_softmax_is_trained_by_its_logits():
    objective = resolve(load(CLASSIFIER), [], Recipe())
    assert [(term.value, term.position, term.kind) for term in objective.terms] == [("s", 0, "distillation")]
    assert any("p is a Softmax" in note for note in objective.notes)
    assert terms(CLASSIFIER, "p=distillation") == [("s", 0, "distillation", 1.0)]
    assert terms(CLASSIFIER, "p=mse") == [("p", 0, "mse", 1.0)]


def test_every_real_output_is_trained_by_default():
    assert terms(TWO_HEADS) == [("scores", 0, "distillation", 1.0), ("value", 1, "mse", 1.0)]
    assert "outputs without a loss: top" in resolve(load(TWO_HEADS), [], Recipe()).notes


def test_specifications():
    assert terms(TWO_HEADS, "mse") == [("scores", 0, "mse", 1.0)]
    assert terms(TWO_HEADS, "scores=distillation:0.5", "h=features:2e-1") == [
        ("scores", 0, "distillation", 0.5),
        ("h", None, "features", 0.2),
    ]
    for wrong in ("scores=entropy", "scores=mse:much", "scores", "mse:"):
        with pytest.raises(UsageError, match=r"a loss is \[VALUE=\]KIND"):
            terms(TWO_HEADS, wrong)
    with pytest.raises(UsageError, match="no value 'nonsense'"):
        terms(TWO_HEADS, "nonsense=mse")


def test_labels_are_of_the_first_term_only():
    objective = resolve(load(TWO_HEADS), [], Recipe(alpha=0.25))
    assert [term.loss.alpha for term in objective.terms] == [0.25, 1.0]


def test_an_output_without_gradient_says_where_to_attach():
    with pytest.raises(ModelError, match="no gradient comes back from 'top': it comes from ArgMax") as raised:
        terms(TWO_HEADS, "top=mse")
    assert "--loss 'scores=distillation'" in raised.value.hint
    only = model(
        "g (float[N,5] x) => (int64[N] top) { s = MatMul(x, w)  top = ArgMax<axis=1, keepdims=0>(s) }", w=weights(5, 4)
    )
    with pytest.raises(ModelError, match="ArgMax"):
        terms(only)


def test_the_axis_of_classes():
    images = model(
        "g (float[N,3,4,4] x) => (float[N,5,4,4] p) { s = Conv(x, w)  p = Softmax<axis=1>(s) }", w=weights(5, 3, 1, 1)
    )
    assert resolve(load(images), [], Recipe()).terms[0].loss.axis == 1
    assert resolve(load(CLASSIFIER), [], Recipe()).terms[0].loss.axis == -1


def test_features_are_the_values_behind_noisy_nodes():
    assert terms(TWO_HEADS, "scores=distillation", features=0.3) == [
        ("scores", 0, "distillation", 1.0),
        ("h", None, "features", 0.3),
    ]


def test_inner_values_become_outputs():
    opened = load(CLASSIFIER)
    assert expose(opened, ["s", "p", "s"]) == ["p", "s"]
    x = weights(3, 5)
    _, logits = run_ort(to_proto(opened), {"x": x})
    np.testing.assert_allclose(logits, x @ weights(5, 4), rtol=1e-5)


def test_a_teacher_is_compared_by_position_or_by_name():
    (term,) = resolve(load(CLASSIFIER), [], Recipe()).terms
    other = model("g (float[N,5] x) => (float[N,4] q) { t = MatMul(x, u)  q = Softmax(t) }", u=weights(5, 4))
    assert target_of(load(other), term) == "t"
    plain = model("g (float[N,5] x) => (float[N,4] q) { q = MatMul(x, u) }", u=weights(5, 4))
    assert target_of(load(plain), term) == "q"
    inner = resolve(load(TWO_HEADS), ["h=features"], Recipe()).terms[0]
    with pytest.raises(ModelError, match="the teacher has no value 'h'"):
        target_of(load(other), inner)
    second = resolve(load(TWO_HEADS), ["value=mse"], Recipe()).terms[0]
    with pytest.raises(ModelError, match="the teacher has 1 outputs"):
        target_of(load(other), second)
