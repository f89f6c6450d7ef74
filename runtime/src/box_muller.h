// Standard normals from random words by Box-Muller, as docs/noise-spec.md defines them:
//
//     u = fl(radius_word OR 1) 2^-32
//     a = fl(int32(angle_word)) 2^-31
//     z = sqrt(-2 ln u) (cos(pi a), sin(pi a))
//
// in float32 with + - * and sqrt only. The polynomials are minimax (Remez exchange, relative error
// of the result), made for this file; the reduction of the logarithm is that of Cephes' logf
// (Moshier). Largest distance from the real-valued z in 3e9 draws and the edge cases of
// tests/runtime/test_normals.py: 3.14 ulp. The specification promises 4.
#pragma once

#include "simd.h"

namespace nmtool::NMTOOL_LEVEL {

// -2 ln(v 2^-32) for v in [1, 2^32], with small relative error also where it goes to zero.
NMTOOL_INLINE F32 MinusTwoLog(F32 v) {
  // v 2^-32 = 2^e (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2); f is exact.
  constexpr int32_t kSqrtHalf = 0x3F3504F3, kExponent32 = 32 << 23;
  const I32 offset = As<I32>(v) - (kSqrtHalf + kExponent32);
  const F32 e = ToFloat(offset >> 23);
  const F32 f = As<F32>((offset & 0x007FFFFF) + kSqrtHalf) - 1.0f;
  // -2 ln(1 + f) = -2 f + f^2 r(f), error 3.0e-8. float32(2 ln 2) is 2.8e-9 from 2 ln 2, so one
  // product is enough.
  F32 r = -0.174696931341f * f + 0.286150467259f;
  r = r * f - 0.298359459043f;
  r = r * f + 0.331410156805f;
  r = r * f - 0.399241443408f;
  r = r * f + 0.500035105504f;
  r = r * f - 0.666679004425f;
  r = r * f + 0.999999832121f;
  return (f * f * r - (f + f)) - e * 1.38629436112f;
}

// Cosine and sine of pi/2 q, |q| <= 2, each with small relative error: the quadrant is split off
// exactly.
NMTOOL_INLINE void CosSinQuarterTurns(F32 q, F32* cosine, F32* sine) {
  // Adding 1.5 * 2^23 rounds q to the nearest integer and leaves that in the low bits of the sum.
  constexpr float kRound = 12582912.0f;
  const F32 rounded = q + kRound;
  const F32 r = q - (rounded - kRound);  // exact, |r| <= 1/2
  const F32 r2 = r * r;
  // sin(pi/2 r) = r + r p(r^2), error 3.2e-9, and cos(pi/2 r) = 1 + r^2 p(r^2), error 6.4e-11.
  // Adding the largest term last, and exactly, leaves little more than the error of that one
  // addition.
  F32 s = -0.00460165788542f * r2 + 0.079680032768f;
  s = s * r2 - 0.645963460233f;
  s = s * r2 + 0.570796321713f;
  s = s * r + r;
  F32 c = 0.000903766543102f * r2 - 0.0208601651115f;
  c = c * r2 + 0.253669225966f;
  c = c * r2 - 1.2337005426f;
  c = c * r2 + 1.0f;
  // In odd quadrants the two change places; the signs are (+ - - +) for the cosine and (+ + - -)
  // for the sine.
  const U32 quadrant = As<U32>(rounded) << 30;  // in the two high bits
  const I32 odd = As<I32>(quadrant << 1) < 0;
  const U32 cosine_sign = (quadrant + 0x40000000u) & 0x80000000u,
            sine_sign = quadrant & 0x80000000u;
  *cosine = As<F32>(As<U32>(odd ? s : c) ^ cosine_sign);
  *sine = As<F32>(As<U32>(odd ? c : s) ^ sine_sign);
}

NMTOOL_INLINE void BoxMuller(U32 radius_word, U32 angle_word, F32* z0, F32* z1) {
  const F32 radius = SquareRoot(MinusTwoLog(ToFloat(radius_word | 1u)));
  F32 cosine, sine;
  CosSinQuarterTurns(ToFloat(As<I32>(angle_word)) * 0x1p-30f, &cosine, &sine);
  *z0 = radius * cosine;
  *z1 = radius * sine;
}

}  // namespace nmtool::NMTOOL_LEVEL
