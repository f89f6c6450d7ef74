// The element types of x: how each is added to, multiplied by and made from float32, rounding to
// nearest even.
//
// float16 and bfloat16 are computed through float32, whose 24 bits are enough for the sum or
// product of two such numbers to round to what a single rounding would give (Figueroa, "When is
// double rounding innocuous?", 1995).
#pragma once

#include "simd.h"

namespace nmtool::NMTOOL_LEVEL {

struct BFloat16 {
  uint16_t bits;

  BFloat16() = default;
  NMTOOL_INLINE explicit BFloat16(float x) {
    const uint32_t b = As<uint32_t>(x);
    const uint32_t rounded = (b + 0x7FFF + (b >> 16 & 1)) >> 16;
    bits = static_cast<uint16_t>(x == x ? rounded : b >> 16 | 0x40);
  }
  NMTOOL_INLINE operator float() const { return As<float>(uint32_t{bits} << 16); }
};

// The conversions let the float adder do the work on subnormals (Giesen, "Float to half
// conversions", 2012); without a branch, so that the loops over them vectorise.
struct Float16 {
  uint16_t bits;

  Float16() = default;
  NMTOOL_INLINE explicit Float16(float x) {
    const uint32_t b = As<uint32_t>(x), sign = b >> 16 & 0x8000, magnitude = b & 0x7FFFFFFF;
    const uint32_t normal = (magnitude - (112u << 23) + 0xFFF + (magnitude >> 13 & 1)) >> 13;
    const uint32_t subnormal = As<uint32_t>(As<float>(magnitude) + 0.5f) - As<uint32_t>(0.5f);
    const uint32_t overflow = magnitude > 0x7F800000 ? 0x7E00 : 0x7C00;
    const uint32_t finite = magnitude < (113u << 23) ? subnormal : normal;
    bits = static_cast<uint16_t>(sign | (magnitude < (143u << 23) ? finite : overflow));
  }
  NMTOOL_INLINE operator float() const {
    const uint32_t sign = (bits & 0x8000u) << 16, magnitude = (bits & 0x7FFFu) << 13;
    const uint32_t normal = magnitude + (112u << 23);
    const uint32_t subnormal =
        As<uint32_t>(As<float>(magnitude + (113u << 23)) - As<float>(113u << 23));
    const uint32_t special = magnitude + (224u << 23);
    const uint32_t finite = magnitude < (1u << 23) ? subnormal : normal;
    return As<float>(sign | (magnitude < (31u << 23) ? finite : special));
  }
};

template <class T>
NMTOOL_INLINE T Add(T a, T b) {
  return static_cast<T>(a + b);
}

template <class T>
NMTOOL_INLINE T Multiply(T a, T b) {
  return static_cast<T>(a * b);
}

// condition ? a : b, written so that loops over each of the types vectorise.
inline float Select(bool condition, float a, float b) { return condition ? a : b; }
inline double Select(bool condition, double a, double b) { return condition ? a : b; }
template <class T>
inline T Select(bool condition, T a, T b) {
  a.bits = condition ? a.bits : b.bits;
  return a;
}

}  // namespace nmtool::NMTOOL_LEVEL
