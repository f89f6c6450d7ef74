"""The losses in ONNX are those in torch."""

import numpy as np
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from build import model, weights
from nmtool.errors import UsageError
from nmtool.model import load
from nmtool.recipes import Recipe

torch = pytest.importorskip("torch")
from nmtool.training.objective import resolve
from nmtool.training.ort_engine.losses import Target, parts

PROTOS = {
    "vectors": model("g (float[N,5] x) => (float[N,4] y) { y = MatMul(x, w) }", w=weights(5, 4)),
    "images": model("g (float[N,3,5,5] x) => (float[N,4,5,5] y) { y = Conv(x, k) }", k=weights(4, 3, 1, 1)),
}


@pytest.mark.parametrize(
    ("proto", "shape", "specification", "settings"),
    [
        ("vectors", (6, 4), "y=distillation", {"alpha": 1.0, "temperature": 3.0}),
        ("vectors", (6, 4), "y=distillation", {"alpha": 0.0}),
        ("vectors", (6, 4), "y=distillation:0.5", {"alpha": 0.3, "temperature": 2.0, "label_smoothing": 0.2}),
        ("images", (2, 4, 5, 5), "y=distillation", {"alpha": 0.3, "label_smoothing": 0.2}),
        ("vectors", (6, 4), "y=mse:2", {"alpha": 1.0}),
        ("vectors", (6, 4), "y=mse", {"alpha": 0.25}),
    ],
    ids=str,
)
def test_they_are_the_losses_of_torch(proto, shape, specification, settings):
    objective = resolve(load(PROTOS[proto]), [specification], Recipe(**settings))
    student, teacher = weights(*shape, seed=1), weights(*shape, seed=2)
    kind = specification.partition("=")[2]
    classes = np.random.default_rng(0).integers(4, size=(shape[0], *shape[2:]))
    labels = weights(*shape, seed=3) if kind.startswith("mse") else classes
    total = 0.0
    for part in parts(objective):
        target = Target.of(part, (None, *shape[1:]))
        given = teacher if part.target == "teacher" else labels
        if part.is_of_classes:
            given = target.classes(torch.tensor(given)).numpy()
        function = ReferenceEvaluator(ir.serde.serialize_function(part.function("Loss", 18)))
        total += function.run(None, {"student": student, "target": given}, attributes={})[0]
    tensors = ({"y": torch.tensor(each)} for each in (student, teacher, labels))
    assert float(total) == pytest.approx(float(objective.loss(*tensors)), rel=1e-5)


def test_class_numbers_come_in_three_forms():
    (part,) = parts(resolve(load(PROTOS["vectors"]), [], Recipe(alpha=0.0)))
    target, numbers = Target.of(part, (None, 4)), torch.tensor([2, 0, 3])
    for labels in (numbers, numbers[:, None], torch.nn.functional.one_hot(numbers, 4)):
        assert target.classes(labels).tolist() == [2, 0, 3]
    assert target.shape == (None,)


def test_other_losses_are_refused():
    with pytest.raises(UsageError, match="the engine ort has no loss 'cosine'"):
        parts(resolve(load(PROTOS["vectors"]), ["y=cosine"], Recipe()))
