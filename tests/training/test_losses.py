"""The losses against closed forms and numpy, and their gradients."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from nmtool.errors import UsageError

torch = pytest.importorskip("torch")
from nmtool.training.losses import Distillation, MeanSquare, Weighted, cosine, features


def array(*shape: int, seed: int = 0) -> NDArray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def of(values: NDArray):
    return torch.tensor(values, requires_grad=values.dtype == np.float64)


def by_numpy(s: NDArray, t: NDArray, y: NDArray, a: float, temperature: float, smoothing: float) -> float:
    """The docstring's equation for logits [rows, classes]."""
    target = (1 - smoothing) * np.eye(s.shape[1])[y] + smoothing / s.shape[1]
    entropy = -(target * log_softmax(s, 1)).sum(1).mean()
    p = softmax(t / temperature, 1)
    divergence = (p * (np.log(p) - log_softmax(s / temperature, 1))).sum(1).mean()
    return (1 - a) * entropy + a * temperature**2 * divergence


@pytest.mark.parametrize("a", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_distillation(a: float, temperature: float, smoothing: float) -> None:
    s, t, y = array(8, 5), array(8, 5, seed=1), np.arange(8) % 5
    loss = Distillation(a, temperature, smoothing)
    assert loss(of(s), of(t), of(y)).item() == pytest.approx(by_numpy(s, t, y, a, temperature, smoothing))
    assert torch.autograd.gradcheck(lambda x: loss(x, of(t), of(y)), of(s))


def test_distillation_of_positions() -> None:
    s, t, y = array(2, 5, 3, 4), array(2, 5, 3, 4, seed=1), np.arange(24).reshape(2, 3, 4) % 5
    rows = [np.moveaxis(x, 1, -1).reshape(-1, 5) for x in (s, t)]
    expected = by_numpy(*rows, y.reshape(-1), 0.4, 2.0, 0.1)
    assert Distillation(0.4, 2.0, 0.1, axis=1)(of(s), of(t), of(y)).item() == pytest.approx(expected)
    moved = [of(np.moveaxis(x, 1, -1).copy()) for x in (s, t)]
    assert Distillation(0.4, 2.0, 0.1)(*moved, of(y.astype(np.int32))).item() == pytest.approx(expected)


def test_closed_forms() -> None:
    s, t = of(np.zeros((1, 2))), of(np.log([[3.0, 1.0]]))
    expected = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    assert Distillation()(s, t).item() == pytest.approx(expected)
    assert Distillation(0.0)(s, None, torch.tensor([1])).item() == pytest.approx(np.log(2))
    assert Distillation(temperature=3.0)(t, t).item() == 0
    assert MeanSquare()(of(np.array([1.0, 2.0])), of(np.array([1.0, 4.0]))).item() == 2
    assert cosine(of(np.array([[1.0, 0.0], [2.0, 0.0]])), of(np.array([[0.0, 1.0], [1.0, 0.0]]))).item() == 0.5
    assert features(torch.zeros(3, 4), of(array(3, 4))).item() == pytest.approx(1)


def test_the_gradient_at_a_high_temperature_does_not_depend_on_it() -> None:
    """For T to infinity the gradient is (s - t) / C for logits of zero mean (Hinton et al., equation 4)."""
    s, t = (x - x.mean(1, keepdims=True) for x in (array(1, 5), array(1, 5, seed=1)))
    logits = of(s)
    Distillation(temperature=1e4)(logits, of(t)).backward()
    np.testing.assert_allclose(logits.grad, (s - t) / 5, atol=1e-4)


def test_masked_classes_count_nothing() -> None:
    s, t = array(3, 4), array(3, 4, seed=1)
    masked = [np.insert(x, 2, -np.inf, axis=1) for x in (s, t)]
    logits = of(masked[0])
    loss = Distillation(temperature=2.0)(logits, of(masked[1]))
    assert loss.item() == pytest.approx(Distillation(temperature=2.0)(of(s), of(t)).item())
    loss.backward()
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[:, 2] == 0).all()


@pytest.mark.parametrize("loss", [MeanSquare(), cosine, features])
def test_other_losses(loss) -> None:
    s, t = array(4, 3, 2), array(4, 3, 2, seed=1)
    rows = [x.reshape(4, -1) for x in (s, t)]
    norms = [np.linalg.norm(x, axis=1) for x in rows]
    expected = {
        MeanSquare(): np.mean((s - t) ** 2),
        cosine: 1 - np.mean((rows[0] * rows[1]).sum(1) / norms[0] / norms[1]),
        features: np.sum((s - t) ** 2) / np.sum(t**2),
    }[loss]
    assert loss(of(s), of(t)).item() == pytest.approx(expected)
    assert loss(of(t), of(t)).item() == pytest.approx(0, abs=1e-12)
    assert torch.autograd.gradcheck(lambda x: loss(x, of(t)), of(s))


def test_mean_square_with_true_values() -> None:
    s, t, y = (array(5, 2, seed=k) for k in range(3))
    expected = 0.25 * np.mean((s - y) ** 2) + 0.75 * np.mean((s - t) ** 2)
    assert MeanSquare(0.75)(of(s), of(t), of(y)).item() == pytest.approx(expected)


@pytest.mark.parametrize("loss", [Distillation(0.5), MeanSquare(), cosine, features])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_summed_in_float32_and_the_teacher_gets_no_gradient(loss, dtype: str) -> None:
    kind, labels = getattr(torch, dtype), torch.zeros(6, dtype=torch.int64)
    s, t = (torch.tensor(array(6, 1000, seed=k)).to(kind).requires_grad_() for k in range(2))
    value = loss(s, t, labels)
    assert value.dtype == torch.float32
    value.backward()
    assert s.grad.dtype == kind
    assert t.grad is None
    assert value.item() == pytest.approx(loss(s.double(), t.double(), labels).item(), rel=1e-5)


def test_features_of_a_silent_teacher_are_finite() -> None:
    assert features(torch.zeros(3), torch.zeros(3)) == 0


def test_weighted() -> None:
    s, t = ({name: of(array(4, 3, seed=k + seed)) for k, name in enumerate("abc")} for seed in (0, 5))
    loss = Weighted({"a": (2.0, Distillation(0.5)), "b": (0.5, cosine)})
    labels = torch.tensor([0, 1, 2, 0])
    expected = 2 * Distillation(0.5)(s["a"], t["a"], labels) + 0.5 * cosine(s["b"], t["b"])
    assert loss(s, t, {"a": labels}).item() == pytest.approx(expected.item())
    with pytest.raises(UsageError, match="no such output: 'a'"):
        loss({"b": s["b"]}, t, {})
    with pytest.raises(UsageError, match="needs teacher"):
        loss(s, {"a": t["a"]}, {"a": labels})


def test_errors() -> None:
    s, t = of(array(4, 3)), of(array(4, 3, seed=1))
    with pytest.raises(UsageError, match="needs labels"):
        Distillation(0.5)(s, t)
    with pytest.raises(UsageError, match=r"labels is \[3\], expected \[4\]"):
        Distillation(0.5)(s, t, torch.zeros(3, dtype=torch.int64))
    with pytest.raises(UsageError, match=r"teacher is \[4, 2\], expected \[4, 3\]"):
        Distillation()(s, t[:, :2])
    for options in ({"alpha": 1.5}, {"temperature": 0.0}, {"label_smoothing": 1.0}, {"alpha": float("nan")}):
        with pytest.raises(UsageError, match=next(iter(options))):
            Distillation(**options)
    with pytest.raises(UsageError, match="weight of output 'a'"):
        Weighted({"a": (-1.0, cosine)})
    with pytest.raises(UsageError, match="at least one"):
        Weighted({})
