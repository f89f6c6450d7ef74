"""The primitives in standard ONNX operators, so that any runtime can execute a noisy model (docs/noise-spec.md).

Where the operator library is registered its kernels replace these functions. Written in ONNX's textual syntax; one
function per concept, because that is how Netron shows them.

Integers: bitwise operators and shifts work on uint64, additions and products on int64 (ONNX Runtime below 1.20 has no
uint64 Mul or Add). The low 64 bits are the same in both, so casting between them loses nothing.
"""

from collections.abc import Callable
from typing import Literal

import onnx_ir as ir
from onnx import parser

from nmtool.noise.base import Primitive
from nmtool.ops import EXACT_OPSET

_PHILOX_ROUND = """
PhiloxRound (c0, c1, c2, c3, k0, k1) => (d0, d1, d2, d3, next_k0, next_k1)
{
  shift_i = Constant <value_int = 32> ()
  shift = Cast <to = 13> (shift_i)
  low32_i = Constant <value_int = 4294967295> ()
  low32 = Cast <to = 13> (low32_i)
  m0 = Constant <value_int = 3528531795> ()
  m1 = Constant <value_int = 3449720151> ()
  weyl0 = Constant <value_int = 2654435769> ()
  weyl1 = Constant <value_int = 3144134277> ()
  c0_i = Cast <to = 7> (c0)
  c2_i = Cast <to = 7> (c2)
  product0_i = Mul (c0_i, m0)
  product1_i = Mul (c2_i, m1)
  product0 = Cast <to = 13> (product0_i)
  product1 = Cast <to = 13> (product1_i)
  high0 = BitShift <direction = "RIGHT"> (product0, shift)
  high1 = BitShift <direction = "RIGHT"> (product1, shift)
  mixed0 = BitwiseXor (high1, c1)
  mixed2 = BitwiseXor (high0, c3)
  d0 = BitwiseXor (mixed0, k0)
  d1 = BitwiseAnd (product1, low32)
  d2 = BitwiseXor (mixed2, k1)
  d3 = BitwiseAnd (product0, low32)
  k0_i = Cast <to = 7> (k0)
  k1_i = Cast <to = 7> (k1)
  sum0_i = Add (k0_i, weyl0)
  sum1_i = Add (k1_i, weyl1)
  sum0 = Cast <to = 13> (sum0_i)
  sum1 = Cast <to = 13> (sum1_i)
  next_k0 = BitwiseAnd (sum0, low32)
  next_k1 = BitwiseAnd (sum1, low32)
}
"""

_PHILOX_HEAD = """
Philox <seed, stream, draw> (x, trial) => (w0, w1, w2, w3)
{
  zero = Constant <value_int = 0> ()
  one = Constant <value_int = 1> ()
  group = Constant <value_int = 64> ()
  lanes = Constant <value_int = 16> ()
  round_up = Constant <value_int = 63> ()
  vector = Constant <value_ints = [1]> ()
  shift32_i = Constant <value_int = 32> ()
  shift32 = Cast <to = 13> (shift32_i)
  shift8_i = Constant <value_int = 8> ()
  shift8 = Cast <to = 13> (shift8_i)
  low32_i = Constant <value_int = 4294967295> ()
  low32 = Cast <to = 13> (low32_i)
  seed_i = Constant <value_int : int = @seed> ()
  seed_u = Cast <to = 13> (seed_i)
  stream_i = Constant <value_int : int = @stream> ()
  stream_u = Cast <to = 13> (stream_i)
  draw_i = Constant <value_int : int = @draw> ()
  draw_u = Cast <to = 13> (draw_i)
  trial_v = Reshape (trial, vector)
  trial_u = Cast <to = 13> (trial_v)
  size = Size (x)
  padded = Add (size, round_up)
  groups = Div (padded, group)
  blocks = Mul (groups, lanes)
  block_i = Range (zero, blocks, one)
  block = Cast <to = 13> (block_i)
  empty = BitwiseXor (block, block)
  trial32 = BitwiseAnd (trial_u, low32)
  stream_low = BitwiseAnd (stream_u, low32)
  stream_high = BitShift <direction = "RIGHT"> (stream_u, shift32)
  stream_high8 = BitShift <direction = "LEFT"> (stream_high, shift8)
  last = BitwiseOr (stream_high8, draw_u)
  trials = BitwiseOr (empty, trial32)
  streams = BitwiseOr (empty, stream_low)
  lasts = BitwiseOr (empty, last)
  k0 = BitwiseAnd (seed_u, low32)
  k1 = BitShift <direction = "RIGHT"> (seed_u, shift32)
"""

_STANDARD_NORMAL = """
StandardNormal <seed, stream, draw> (x, trial) => (z)
{
  w0, w1, w2, w3 = nmtool.Philox <seed : int = @seed, stream : int = @stream, draw : int = @draw> (x, trial)
  z0, z1 = nmtool.BoxMuller (w0, w1)
  z2, z3 = nmtool.BoxMuller (w2, w3)
  z = nmtool.ByElement (z0, z1, z2, z3, x)
}
"""

_BOX_MULLER = """
BoxMuller (word0, word1) => (z0, z1)
{
  one_i = Constant <value_int = 1> ()
  one = Cast <to = 13> (one_i)
  minus_two = Constant <value_float = -2.0> ()
  inverse_2_32 = Constant <value_float = 2.3283064365386963e-10> ()
  pi_over_2_31 = Constant <value_float = 1.4629180792671596e-09> ()
  odd = BitwiseOr (word0, one)
  odd_f = Cast <to = 1> (odd)
  u = Mul (odd_f, inverse_2_32)
  log_u = Log (u)
  square = Mul (log_u, minus_two)
  radius = Sqrt (square)
  word1_i64 = Cast <to = 7> (word1)
  half_turn = Constant <value_int = 2147483648> ()
  full_turn = Constant <value_int = 4294967296> ()
  negative = GreaterOrEqual (word1_i64, half_turn)
  negative_i = Cast <to = 7> (negative)
  wrap = Mul (negative_i, full_turn)
  signed = Sub (word1_i64, wrap)
  signed_f = Cast <to = 1> (signed)
  angle = Mul (signed_f, pi_over_2_31)
  cosine = Cos (angle)
  sine = Sin (angle)
  z0 = Mul (radius, cosine)
  z1 = Mul (radius, sine)
}
"""

_UNIFORM = """
Uniform <seed, stream, draw> (x, trial) => (u)
{
  w0, w1, w2, w3 = nmtool.Philox <seed : int = @seed, stream : int = @stream, draw : int = @draw> (x, trial)
  word = nmtool.ByElement (w0, w1, w2, w3, x)
  shift_i = Constant <value_int = 8> ()
  shift = Cast <to = 13> (shift_i)
  inverse_2_24 = Constant <value_float = 5.9604644775390625e-08> ()
  high24 = BitShift <direction = "RIGHT"> (word, shift)
  high24_f = Cast <to = 1> (high24)
  u = Mul (high24_f, inverse_2_24)
}
"""

# The values of words 0..3 of every block, in the order of the elements, cut to the size and shape of x.
_BY_ELEMENT = """
ByElement (v0, v1, v2, v3, x) => (v)
{
  lanes = Constant <value_ints = [-1, 1, 16]> ()
  flat = Constant <value_ints = [-1]> ()
  vector = Constant <value_ints = [1]> ()
  begin = Constant <value_ints = [0]> ()
  g0 = Reshape (v0, lanes)
  g1 = Reshape (v1, lanes)
  g2 = Reshape (v2, lanes)
  g3 = Reshape (v3, lanes)
  groups = Concat <axis = 1> (g0, g1, g2, g3)
  padded = Reshape (groups, flat)
  size = Size (x)
  end = Reshape (size, vector)
  exact = Slice (padded, begin, end)
  shape = Shape (x)
  v = Reshape (exact, shape)
}
"""

_ATTRIBUTES = "seed : int = @seed, stream : int = @stream, draw : int = @draw"

_DRAW_NORMAL = {True: f"nmtool.StandardNormal <{_ATTRIBUTES}> (x, trial)", False: "RandomNormalLike <dtype = 1> (x)"}
_DRAW_UNIFORM = {True: f"nmtool.Uniform <{_ATTRIBUTES}> (x, trial)", False: "RandomUniformLike <dtype = 1> (x)"}

_GAUSSIAN_NOISE = """
GaussianNoise <seed, stream, draw, dtype> (x, std, trial, scale) => (y)
{{
  z = {normal}
  sigma = Mul (std, scale)
  noise_f = Mul (sigma, z)
  noise = Cast <to : int = @dtype> (noise_f)
  y = Add (x, noise)
}}
"""

_LOGNORMAL_NOISE = """
LognormalNoise <seed, stream, draw, dtype> (x, mean, std, trial, scale) => (y)
{{
  z = {normal}
  spread = Mul (std, z)
  logarithm = Add (mean, spread)
  exponent = Mul (scale, logarithm)
  factor_f = Exp (exponent)
  factor = Cast <to : int = @dtype> (factor_f)
  y = Mul (x, factor)
}}
"""

# The stock operator, under a name of its own that training gives a straight-through gradient.
_ROUND = """
Round (x) => (y)
{
  y = Round (x)
}
"""


_HEADER = '<domain: "nmtool", opset_import: ["" : {opset}, "nmtool" : 1]>'
_GENERATOR = ("PhiloxRound", "Philox", "ByElement")
_NORMAL_GENERATOR = (*_GENERATOR, "BoxMuller", "StandardNormal")
_GENERATORS = {
    "GaussianNoise": _NORMAL_GENERATOR,
    "LognormalNoise": _NORMAL_GENERATOR,
    "StuckFaults": (*_GENERATOR, "Uniform"),
    "Round": (),
}


def _philox() -> str:
    state, lines = "block, trials, streams, lasts, k0, k1", []
    for round_ in range(10):
        last = round_ == 9
        words = "w0, w1, w2, w3" if last else ", ".join(f"c{i}_{round_ + 1}" for i in range(4))
        keys = f"k0_{round_ + 1}, k1_{round_ + 1}"
        lines.append(f"  {words}, {keys} = nmtool.PhiloxRound ({state})")
        state = f"{words}, {keys}"
    return _PHILOX_HEAD + "\n".join(lines) + "\n}\n"


def _stuck_faults(exact: bool, kinds: int) -> str:
    """The first kind of fault whose cumulated threshold exceeds u wins, so it is applied last."""

    def each(stem: str) -> str:
        return ", ".join(f"{stem}{k}" for k in range(kinds))

    split = f"Split <axis = 0, num_outputs = {kinds}>" if exact else "Split <axis = 0>"
    lines = [
        f"  u = {_DRAW_UNIFORM[exact]}",
        f"  {each('probability')} = {split} (probabilities)",
        f"  {each('value_f')} = {split} (values)",
        "  cumulated0 = Identity (probability0)",
    ]
    lines += [f"  cumulated{k} = Add (cumulated{k - 1}, probability{k})" for k in range(1, kinds)]
    current = "x"
    for k in reversed(range(kinds)):
        after = "y" if k == 0 else f"y{k}"
        lines += [
            f"  threshold{k} = Mul (scale, cumulated{k})",
            f"  below{k} = Less (u, threshold{k})",
            f"  value{k} = Cast <to : int = @dtype> (value_f{k})",
        ]
        if exact:
            lines.append(f"  {after} = Where (below{k}, value{k}, {current})")
        else:  # Where exists from opset 9 only
            lines += [
                f"  mask{k} = Cast <to : int = @dtype> (below{k})",
                f"  distance{k} = Sub (value{k}, {current})",
                f"  step{k} = Mul (mask{k}, distance{k})",
                f"  {after} = Add ({current}, step{k})",
            ]
        current = after
    head = "StuckFaults <seed, stream, draw, dtype> (x, probabilities, values, trial, scale) => (y)"
    return head + "\n{\n" + "\n".join(lines) + "\n}\n"


def _text(name: str, exact: bool, kinds: int) -> str:
    texts: dict[str, Callable[[], str]] = {
        "PhiloxRound": lambda: _PHILOX_ROUND,
        "Philox": _philox,
        "ByElement": lambda: _BY_ELEMENT,
        "BoxMuller": lambda: _BOX_MULLER,
        "StandardNormal": lambda: _STANDARD_NORMAL,
        "Uniform": lambda: _UNIFORM,
        "GaussianNoise": lambda: _GAUSSIAN_NOISE.format(normal=_DRAW_NORMAL[exact]),
        "LognormalNoise": lambda: _LOGNORMAL_NOISE.format(normal=_DRAW_NORMAL[exact]),
        "StuckFaults": lambda: _stuck_faults(exact, kinds),
        "Round": lambda: _ROUND,
    }
    return texts[name]()


def primitive_functions(primitive: Primitive | Literal["Round"], opset: int, kinds: int = 1) -> list[ir.Function]:
    """The function that defines `primitive`, and those it calls, for a model of the given opset of ai.onnx.

    Args:
        primitive: name of the primitive, or Round, which quantizers of weights call.
        opset: at least 7. From EXACT_OPSET on the values are the specified ones, below only the distribution is.
        kinds: number of fault kinds of StuckFaults (the length of its `probabilities`).
    """
    exact = opset >= EXACT_OPSET
    generator = _GENERATORS[primitive] if exact else ()
    return [_function(_text(name, exact, kinds), opset) for name in (*generator, primitive)]


def _function(text: str, opset: int) -> ir.Function:
    proto = parser.parse_function(_HEADER.format(opset=opset) + text)
    return ir.serde.deserialize_function(proto)
