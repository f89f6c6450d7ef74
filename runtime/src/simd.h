// Vectors for the noise kernels. Each level (portable, avx2, avx512) compiles these headers with
// its own flags and inside a namespace of its own, so the linker can never hand one level code that
// was compiled for another.
//
// The vectors are the compilers' vector extension (GCC, Clang), which lowers to SSE2, AVX2, AVX-512
// or NEON. What it lacks are the operations at the end of this file. On a GPU (NMTOOL_SCALAR)
// a vector is one number, because the lanes are the threads. All levels execute the same IEEE
// operations in the same order, and contraction to fused multiply-add is off: hence equal bits.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#define NMTOOL_PRAGMA(text) _Pragma(#text)
#if defined(__CUDACC__)
#define NMTOOL_INLINE __host__ __device__ inline
#define NMTOOL_UNROLL(times) NMTOOL_PRAGMA(unroll times)
#else
#define NMTOOL_INLINE inline
#define NMTOOL_UNROLL(times) NMTOOL_PRAGMA(GCC unroll times)
#endif

namespace nmtool::NMTOOL_LEVEL {

// The same bits as another type.
template <class To, class From>
NMTOOL_INLINE To As(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}

#if defined(NMTOOL_SCALAR)

using F32 = float;
using I32 = int32_t;
using U32 = uint32_t;
using U64 = uint64_t;

template <class V>
NMTOOL_INLINE F32 ToFloat(V v) {
  return static_cast<F32>(v);
}

NMTOOL_INLINE U64 MultiplyLow32(U64 a, U64 b) { return (a & 0xFFFFFFFFu) * (b & 0xFFFFFFFFu); }

NMTOOL_INLINE F32 SquareRoot(F32 x) { return sqrtf(x); }

#else

#if defined(__AVX512F__)
inline constexpr int kLanes = 16;
#elif defined(__AVX2__)
inline constexpr int kLanes = 8;
#else
inline constexpr int kLanes = 4;
#endif

using F32 [[gnu::vector_size(4 * kLanes)]] = float;
using I32 [[gnu::vector_size(4 * kLanes)]] = int32_t;
using U32 [[gnu::vector_size(4 * kLanes)]] = uint32_t;
using U64 [[gnu::vector_size(4 * kLanes)]] = uint64_t;

// The vector at any address: memcpy is how C++ spells an unaligned load or store.
template <class V>
inline V Load(const void* from) {
  V v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}

template <class V>
inline void Store(V v, void* to) {
  __builtin_memcpy(to, &v, sizeof v);
}

// Conversions by value, rounding to nearest even.
template <class V>
inline F32 ToFloat(V v) {
  return __builtin_convertvector(v, F32);
}

// Product of the low 32 bits of each 64-bit lane; the high bits are ignored.
inline U64 MultiplyLow32(U64 a, U64 b) {
#if defined(__AVX512F__)
  return (U64)_mm512_maskz_mul_epu32(0xFF, (__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (U64)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
  return (U64)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
  return (a & 0xFFFFFFFFu) * (b & 0xFFFFFFFFu);
#endif
}

// a b + c, rounded once where the level can.
inline F32 MultiplyAdd(F32 a, F32 b, F32 c) {
#if defined(__AVX512F__)
  return (F32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
  return (F32)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return a * b + c;
#endif
}

// Lane i of the result is lane lanes[i] of a followed by b.
inline F32 Pick(F32 a, F32 b, I32 lanes) {
#if defined(__GNUC__) && !defined(__clang__)
  return __builtin_shuffle(a, b, lanes);
#else
  F32 picked;
  for (int i = 0; i < kLanes; ++i)
    picked[i] = lanes[i] < kLanes ? a[lanes[i]] : b[lanes[i] - kLanes];
  return picked;
#endif
}

// The low, or high, halves of the 64-bit lanes: those of `even` in the even 32-bit lanes, those of
// `odd` in the odd ones.
inline U32 LowHalves(U64 even, U64 odd) {
#if defined(__AVX512F__)
  return (U32)_mm512_mask_moveldup_ps((__m512)even, 0xAAAA, (__m512)odd);
#else
  return (U32)((even & 0xFFFFFFFFu) | odd << 32);
#endif
}

inline U32 HighHalves(U64 even, U64 odd) {
#if defined(__AVX512F__)
  return (U32)_mm512_mask_movehdup_ps((__m512)odd, 0x5555, (__m512)even);
#else
  return (U32)(even >> 32 | (odd & ~uint64_t{0xFFFFFFFFu}));
#endif
}

inline F32 SquareRoot(F32 x) {
#if defined(__AVX512F__)
  return (F32)_mm512_maskz_sqrt_ps(0xFFFF, (__m512)x);
#elif defined(__AVX2__)
  return (F32)_mm256_sqrt_ps((__m256)x);
#elif defined(__SSE2__)
  return (F32)_mm_sqrt_ps((__m128)x);
#else
  for (int i = 0; i < kLanes; ++i) x[i] = __builtin_sqrtf(x[i]);
  return x;
#endif
}

#endif  // NMTOOL_SCALAR

}  // namespace nmtool::NMTOOL_LEVEL
