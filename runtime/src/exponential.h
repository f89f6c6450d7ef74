// exp in float32 with + - * only, so that it has the same bits at every SIMD level; error below 2
// ulp for normal results.
#pragma once

#include "simd.h"

namespace nmtool::NMTOOL_LEVEL {

NMTOOL_INLINE F32 Exponential(F32 x) {
  // Beyond these the result is 0 or infinity anyway. A NaN fails both comparisons and passes
  // through.
  x = x > 89.0f ? F32{} + 89.0f : x;
  x = x < -105.0f ? F32{} - 105.0f : x;
  // x = n ln 2 + r, |r| <= ln(2)/2; adding 1.5 * 2^23 rounds, and ln 2 in two parts (Cody and
  // Waite) makes r exact enough.
  constexpr float kRound = 12582912.0f;
  const F32 rounded = x * 1.44269504089f + kRound;
  const F32 n = rounded - kRound;
  const F32 r = (x - n * 0.693359375f) - n * -2.12194440055e-4f;
  // exp(r) = 1 + r + r^2 p(r), minimax by Remez exchange, error 3.1e-9.
  F32 p = 0.00138145411217f * r + 0.00836874513312f;
  p = p * r + 0.0416683907761f;
  p = p * r + 0.166665203988f;
  p = p * r + 0.499999934321f;
  const F32 y = (r * r * p + r) + 1.0f;
  // 2^n as two factors: n reaches beyond the exponents of float32 on both sides.
  const I32 exponent = As<I32>(rounded) - 0x4B400000, half = exponent >> 1, rest = exponent - half;
  return y * As<F32>(As<U32>(half + 127) << 23) * As<F32>(As<U32>(rest + 127) << 23);
}

}  // namespace nmtool::NMTOOL_LEVEL
