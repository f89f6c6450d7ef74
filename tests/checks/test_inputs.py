"""Which dimensions a model leaves open, and inputs that it takes."""

import numpy as np
import pytest

from build import model, weights
from nmtool.checks.dimensions import joined, open_dimensions
from nmtool.checks.subject import SAMPLES, Request, Subject
from nmtool.model import load

BODY = "=> (float[A,B] y) { y = Identity(x) }"


@pytest.mark.parametrize(
    ("inputs", "batch", "others"),
    [
        ("float[N,3] x", [("x", 0)], []),
        ("float[batch_size,seq] x, float[2,batch_size] h", [("x", 0), ("h", 1)], ["seq"]),
        ("float[seq,batch] x", [("x", 1)], ["seq"]),
        ("float[time,3] x", [("x", 0)], []),
        ("float[time,3] x, float[classes,5] c", [("x", 0)], ["classes"]),
        ("float[1,H] x", [], ["H"]),
        ("float[2,3] x", [], []),
    ],
)
def test_the_batch_is_told_from_other_dimensions(inputs, batch, others):
    found = open_dimensions(load(model(f"g ({inputs}) {BODY}")))
    assert [place for dimension in found if dimension.batch for place in dimension.places] == batch
    assert [dimension.name for dimension in found if not dimension.batch] == others


def test_a_length_is_made_up_that_the_model_takes():
    text = "g (float[N,L] x) => (float[N,256] y) { y = Add(x, w) }"
    assert Subject(Request(model(text, w=weights(256)))).feeds["x"].shape == (SAMPLES, 256)
    assert Subject(Request(model(text.replace("256", "99"), w=weights(99)))).feeds["x"].shape == (SAMPLES, 1)
    strict = "g (float[N,L] x) => (float[N,L] y) { y = Reshape(x, s) }"
    assert Subject(Request(model(strict, s=np.array([-1, 7])))).feeds["x"].shape == (SAMPLES, 64)


def test_parts_are_joined_where_they_make_the_whole():
    whole = weights(2, 3, 4)
    np.testing.assert_array_equal(joined(whole, [whole[:, :1], whole[:, 1:]]), whole)
    assert joined(whole, [whole, whole]) is None
    assert joined(whole, [whole[0]]) is None
