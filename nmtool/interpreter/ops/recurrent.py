"""LSTM, GRU and RNN, step by step: every option of ONNX in one plain loop."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from nmtool.interpreter.ops.activation import elu, hard_sigmoid, leaky_relu, thresholded_relu
from nmtool.interpreter.registry import register_op
from nmtool.interpreter.values import tensor

_States: TypeAlias = tuple[Tensor, ...]
_Cell: TypeAlias = Callable[[Tensor, _States], _States]
"""A step: (input's products [batch, gates * hidden], states) -> new states, of which the first is the output."""

_Direction: TypeAlias = tuple[_Cell, Tensor, Tensor]
"""Its step, its weights of the input and the biases that are added once."""

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "elu": elu,
    "hardsigmoid": hard_sigmoid,
    "leakyrelu": leaky_relu,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "thresholdedrelu": thresholded_relu,
    "softplus": F.softplus,
    "softsign": F.softsign,
}
_NAMED: dict[str, tuple[Any, ...]] = {
    "activation_alpha": ([],),
    "activation_beta": ([],),
}  # only activations without parameters


def _functions(
    names: Sequence[str] | None, defaults: Sequence[str], directions: int
) -> list[Callable[[Tensor], Tensor]]:
    return [_ACTIVATIONS[name.lower()] for name in names or [*defaults] * directions]


def _run(cell: _Cell, products: Tensor, states: _States, lengths: Tensor | None, reverse: bool) -> Any:
    """Step through time; beyond the end of a sequence, states stay and outputs are 0."""
    steps = range(products.shape[0])
    outputs = []
    for step in reversed(steps) if reverse else steps:
        new = cell(products[step], states)
        if lengths is None:
            outputs.append(new[0])
            states = new
            continue
        inside = (step < lengths).unsqueeze(1)
        states = tuple(torch.where(inside, after, before) for after, before in zip(new, states, strict=True))
        outputs.append(torch.where(inside, new[0], torch.zeros_like(new[0])))
    if reverse:
        outputs.reverse()
    return torch.stack(outputs), states


def _layer(
    cells: Callable[[int], _Direction],
    x: Tensor,
    lengths: Any,
    initial: Sequence[Tensor | None],
    hidden: int,
    direction: str,
    layout: int,
    outputs: int,
) -> Any:
    """Run all directions: y [time, directions, batch, hidden] and the last states [directions, batch, hidden]."""
    if layout:
        x = x.transpose(0, 1)
        initial = [None if state is None else state.transpose(0, 1) for state in initial]
    batch = x.shape[1]
    ends = None if lengths is None else tensor(lengths, x)
    sequences, finals = [], []
    for k in range(2 if direction == "bidirectional" else 1):
        cell, weight, bias = cells(k)
        start = tuple(
            x.new_zeros(batch, hidden) if state is None else state[k].expand(batch, hidden) for state in initial
        )
        backwards = direction == "reverse" or k == 1
        y, states = _run(cell, torch.matmul(x, weight.T) + bias, start, ends, backwards)
        sequences.append(y)
        finals.append(states)
    y = torch.stack(sequences, 1)
    last = [torch.stack(states) for states in zip(*finals, strict=True)]
    if layout:
        y, last = y.permute(2, 0, 1, 3), [state.transpose(0, 1) for state in last]
    return y if outputs == 1 else (y, *last)[:outputs]


def _clipped(x: Tensor, clip: float | None) -> Tensor:
    return x if clip is None else torch.clamp(x, -clip, clip)


def _biases(b: Tensor | None, k: int, w: Tensor) -> tuple[Tensor, Tensor]:
    """Biases of the products with the input and with the state."""
    if b is None:
        zeros = w.new_zeros(w.shape[1])
        return zeros, zeros
    first, second = b[k].chunk(2)
    return first, second


@register_op("RNN", only=_NAMED)
def rnn(
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    lengths: Any = None,
    initial_h: Tensor | None = None,
    *,
    activations: Sequence[str] | None = None,
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
    output_sequence: int = 0,
    outputs: int = 3,
) -> Any:
    """Elman network: h = f(x W + h R + b)."""
    functions = _functions(activations, ["Tanh"], w.shape[0])

    def step(k: int, products: Tensor, states: _States) -> _States:
        return (functions[k](_clipped(products + torch.matmul(states[0], r[k].T), clip)),)

    def cells(k: int) -> _Direction:
        return partial(step, k), w[k], sum(_biases(b, k, w))

    return _layer(cells, x, lengths, [initial_h], r.shape[-1], direction, layout, outputs)


@register_op("GRU", only=_NAMED)
def gru(
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    lengths: Any = None,
    initial_h: Tensor | None = None,
    *,
    activations: Sequence[str] | None = None,
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
    linear_before_reset: int = 0,
    output_sequence: int = 0,
    outputs: int = 3,
) -> Any:
    """Gated recurrent unit; gates in the order z, r, h."""
    functions = _functions(activations, ["Sigmoid", "Tanh"], w.shape[0])
    hidden = r.shape[-1]

    def step(k: int, products: Tensor, states: _States) -> _States:
        (h,) = states
        f, g = functions[2 * k : 2 * k + 2]
        own = _biases(b, k, w)[1]
        gates = products[:, : 2 * hidden] + torch.matmul(h, r[k, : 2 * hidden].T) + own[: 2 * hidden]
        update, reset = f(_clipped(gates, clip)).chunk(2, 1)
        if linear_before_reset:
            candidate = reset * (torch.matmul(h, r[k, 2 * hidden :].T) + own[2 * hidden :])
        else:
            candidate = torch.matmul(reset * h, r[k, 2 * hidden :].T) + own[2 * hidden :]
        new = g(_clipped(products[:, 2 * hidden :] + candidate, clip))
        return ((1 - update) * new + update * h,)

    def cells(k: int) -> _Direction:
        return partial(step, k), w[k], _biases(b, k, w)[0]

    return _layer(cells, x, lengths, [initial_h], hidden, direction, layout, outputs)


@register_op("LSTM", only=_NAMED)
def lstm(
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    lengths: Any = None,
    initial_h: Tensor | None = None,
    initial_c: Tensor | None = None,
    p: Tensor | None = None,
    *,
    activations: Sequence[str] | None = None,
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    input_forget: int = 0,
    layout: int = 0,
    output_sequence: int = 0,
    outputs: int = 3,
) -> Any:
    """Long short-term memory with peepholes; gates in the order i, o, f, c."""
    functions = _functions(activations, ["Sigmoid", "Tanh", "Tanh"], w.shape[0])

    def step(k: int, products: Tensor, states: _States) -> _States:
        h, c = states
        f, g, last = functions[3 * k : 3 * k + 3]
        i, o, forget, cell = (products + torch.matmul(h, r[k].T)).chunk(4, 1)
        if p is not None:
            peep_i, peep_o, peep_f = p[k].chunk(3)
            i, forget = i + peep_i * c, forget + peep_f * c
        i = f(_clipped(i, clip))
        keep = 1 - i if input_forget else f(_clipped(forget, clip))
        c = keep * c + i * g(_clipped(cell, clip))
        if p is not None:
            o = o + peep_o * c
        return f(_clipped(o, clip)) * last(c), c

    def cells(k: int) -> _Direction:
        return partial(step, k), w[k], sum(_biases(b, k, w))

    return _layer(cells, x, lengths, [initial_h, initial_c], r.shape[-1], direction, layout, outputs)
