// What one thread of a GPU does: it draws the four words of one counter, turns them into numbers,
// and applies those to the four elements they belong to. The same code compiles for the host
// (kernels.cu), where the tests run it.
#pragma once

#define NMTOOL_LEVEL cuda
#define NMTOOL_SCALAR

#include "../box_muller.h"
#include "../element.h"
#include "../exponential.h"
#include "../kernels.h"
#include "../philox.h"
#include "kernels.h"

namespace nmtool::cuda {

inline constexpr uint64_t kWords = 4;              // of a counter
inline constexpr uint64_t kRun = kGroup / kWords;  // elements between the words of a counter

// Everything of a counter but its block number.
struct Draws {
  RoundKeys keys;
  uint32_t counter[3];
  const int64_t* trial;

  explicit Draws(const Drawn& drawn)
      : keys(drawn.source.key),
        counter{drawn.source.counter[0], drawn.source.counter[1], drawn.source.counter[2]},
        trial(drawn.trial) {}

  NMTOOL_INLINE void Words(uint64_t block, U64 (&words)[1][kWords]) const {
    words[0][0] = block;
    words[0][1] = trial == nullptr ? counter[0] : static_cast<uint32_t>(*trial);
    words[0][2] = counter[1];
    words[0][3] = counter[2];
    Philox(words, keys);
  }
};

struct Word {
  using Number = uint32_t;

  NMTOOL_INLINE static void Transform(const U64 words[kWords], Number numbers[kWords]) {
    for (uint64_t j = 0; j < kWords; ++j) numbers[j] = static_cast<uint32_t>(words[j]);
  }
};

struct Uniform {
  using Number = float;

  NMTOOL_INLINE static void Transform(const U64 words[kWords], Number numbers[kWords]) {
    for (uint64_t j = 0; j < kWords; ++j) {
      numbers[j] = ToFloat(static_cast<uint32_t>(words[j]) >> 8) * 0x1p-24f;
    }
  }
};

struct Normal {
  using Number = float;

  NMTOOL_INLINE static void Transform(const U64 words[kWords], Number numbers[kWords]) {
    for (uint64_t j = 0; j < kWords; j += 2) {
      BoxMuller(static_cast<uint32_t>(words[j]), static_cast<uint32_t>(words[j + 1]), &numbers[j],
                &numbers[j + 1]);
    }
  }
};

NMTOOL_INLINE uint64_t MultiplyHigh64(uint64_t a, uint64_t b) {
#if defined(__CUDA_ARCH__)
  return __umul64hi(a, b);
#else
  return static_cast<uint64_t>(static_cast<unsigned __int128>(a) * b >> 64);
#endif
}

// The value of a parameter for element e of x.
NMTOOL_INLINE float At(const Parameter& parameter, uint64_t e) {
  const int last = parameter.count - 1;
  const float* from = parameter.data;
  NMTOOL_UNROLL(1)
  for (int i = 0; i < last; ++i) {
    const Parameter::Axis& axis = parameter.axes[i];
    uint64_t rest = MultiplyHigh64(e, axis.reciprocal);  // e / size, or one more
    if (rest * axis.size > e) --rest;
    from += (e - rest * axis.size) * axis.stride;
    e = rest;
  }
  return from[e * parameter.axes[last].stride];
}

// What becomes of the number of element e: the number itself, or one of the primitives.
template <class T>
struct Itself {
  using Out = T;

  NMTOOL_INLINE T operator()(uint64_t, T number) const { return number; }
};

template <class T>
struct Gaussian {
  using Out = T;

  const T* x;
  Parameter std;
  float scale;

  NMTOOL_INLINE T operator()(uint64_t e, float z) const {
    return Add(x[e], T((At(std, e) * scale) * z));
  }
};

template <class T>
struct Lognormal {
  using Out = T;

  const T* x;
  Parameter mean, std;
  float scale;

  NMTOOL_INLINE T operator()(uint64_t e, float z) const {
    return Multiply(x[e], T(Exponential(scale * (At(mean, e) + At(std, e) * z))));
  }
};

template <class T>
struct Stuck {
  using Out = T;

  const T* x;
  const float *probabilities, *values;
  uint64_t faults;
  float scale;

  NMTOOL_INLINE T operator()(uint64_t e, float u) const {
    float cumulated = 0;
    for (uint64_t k = 0; k < faults; ++k) {
      cumulated += probabilities[k];
      if (u < cumulated * scale) return T(values[k]);
    }
    return x[e];
  }
};

// How many counters the elements start <= e < end belong to, in whole groups.
inline uint64_t Counters(uint64_t start, uint64_t end) {
  return ((end + kGroup - 1) / kGroup - start / kGroup) * kRun;
}

// Thread number `thread` of at least Counters(start, end): writes those elements of its counter
// that are in the range to out[e - start]. All are computed before one is written, because out may
// be x, and then a read could not overtake a write; those past the end are computed as the last
// one.
template <class Numbers, class Use>
NMTOOL_INLINE void Thread(const Draws& draws, uint64_t thread, uint64_t start, uint64_t end,
                          const Use& use, typename Use::Out* out) {
  const uint64_t block = start / kGroup * kRun + thread;
  const uint64_t first = block / kRun * kGroup + block % kRun;
  if (first >= end) return;
  U64 words[1][kWords];
  draws.Words(block, words);
  typename Numbers::Number numbers[kWords];
  Numbers::Transform(words[0], numbers);
  typename Use::Out results[kWords];
  NMTOOL_UNROLL(4)
  for (uint64_t j = 0; j < kWords; ++j) {
    const uint64_t e = first + j * kRun;
    results[j] = use(e < end ? e : end - 1, numbers[j]);
  }
  NMTOOL_UNROLL(4)
  for (uint64_t j = 0; j < kWords; ++j) {
    const uint64_t e = first + j * kRun;
    if (e >= start && e < end) out[e - start] = results[j];
  }
}

}  // namespace nmtool::cuda
