// The kernels of one SIMD level. CMake compiles this file once per level, with the level's compiler
// flags and its name in NMTOOL_LEVEL.
#include "kernels.h"

#include "box_muller.h"
#include "element.h"
#include "exponential.h"
#include "philox.h"

namespace nmtool::NMTOOL_LEVEL {
namespace {

constexpr size_t kWords = 4;                // of a counter
constexpr size_t kRun = kGroup / kWords;    // elements per word of a group
constexpr size_t kVectors = kRun / kLanes;  // vectors per run

// Where the n-th vector of counters puts its first word.
constexpr size_t Offset(size_t n) { return n / kVectors * kGroup + n % kVectors * kLanes; }

// Calls transform(words, out) for each kLanes counters of the groups, where words[j] are their j-th
// words and the run of word j goes to out + j * kRun. The words of the next counters are drawn
// before the current ones are transformed: the two are independent, so the compiler mixes their
// instructions and neither waits for its own latencies.
template <class Out, class Transform>
inline void ForEachVector(const Source& source, uint64_t first_group, size_t groups, Out* out,
                          Transform transform) {
  const RoundKeys keys(source.key);
  const U64 c1 = U64{} + source.counter[0], c2 = U64{} + source.counter[1],
            c3 = U64{} + source.counter[2];
  U64 even;  // the counters of the even 32-bit lanes
  for (int i = 0; i < kLanes / 2; ++i) even[i] = first_group * kRun + 2 * i;
  const auto draw = [&](size_t n, U32 words[kWords]) {
    const U64 block = even + n * kLanes;
    U64 drawn[2][kWords] = {{block, c1, c2, c3}, {block + 1, c1, c2, c3}};
    Philox(drawn, keys, words);
  };
  U32 words[kWords], next[kWords];
  draw(0, words);
  for (size_t n = 0; n < groups * kVectors; ++n) {
    draw(n + 1, next);
    transform(words, out + Offset(n));
    for (size_t j = 0; j < kWords; ++j) words[j] = next[j];
  }
}

inline void StoreNormals(const U32 words[kWords], float* out) {
  for (size_t pair = 0; pair < kWords; pair += 2) {
    F32 z0, z1;
    BoxMuller(words[pair], words[pair + 1], &z0, &z1);
    Store(z0, out + pair * kRun);
    Store(z1, out + (pair + 1) * kRun);
  }
}

void PhiloxOfOne(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
  U64 words[1][kWords];
  for (size_t j = 0; j < kWords; ++j) words[0][j] = U64{} + counter[j];
  Philox(words, RoundKeys(key));
  for (size_t j = 0; j < kWords; ++j) out[j] = static_cast<uint32_t>(words[0][j][0]);
}

void NormalsOfWords(const uint32_t* in, size_t groups, float* out) {
  for (size_t n = 0; n < groups * kVectors; ++n) {
    U32 words[kWords];
    for (size_t j = 0; j < kWords; ++j) words[j] = Load<U32>(in + Offset(n) + j * kRun);
    StoreNormals(words, out + Offset(n));
  }
}

void Words(const Source& source, uint64_t first_group, size_t groups, uint32_t* out) {
  ForEachVector(source, first_group, groups, out, [](const U32 words[kWords], uint32_t* to) {
    for (size_t j = 0; j < kWords; ++j) Store(words[j], to + j * kRun);
  });
}

void Uniforms(const Source& source, uint64_t first_group, size_t groups, float* out) {
  ForEachVector(source, first_group, groups, out, [](const U32 words[kWords], float* to) {
    for (size_t j = 0; j < kWords; ++j) {
      Store(ToFloat((I32)(words[j] >> 8)) * 0x1p-24f, to + j * kRun);
    }
  });
}

void Normals(const Source& source, uint64_t first_group, size_t groups, float* out) {
  ForEachVector(source, first_group, groups, out, StoreNormals);
}

template <class T>
void Gaussian(const void* x, const float* std, float scale, const float* z, size_t count, void* y) {
  const T* from = static_cast<const T*>(x);
  T* to = static_cast<T*>(y);
  for (size_t i = 0; i < count; ++i) to[i] = Add(from[i], T((std[i] * scale) * z[i]));
}

template <class T>
void Lognormal(const void* x, const float* mean, const float* std, float scale, float* z,
               size_t count, void* y) {
  const T* from = static_cast<const T*>(x);
  T* to = static_cast<T*>(y);
  for (size_t i = 0; i < count; ++i) z[i] = scale * (mean[i] + std[i] * z[i]);
  for (size_t i = 0; i < count; i += kLanes) Store(Exponential(Load<F32>(z + i)), z + i);
  for (size_t i = 0; i < count; ++i) to[i] = Multiply(from[i], T(z[i]));
}

template <class T>
void Stuck(const void* x, const float* thresholds, const float* values, size_t faults,
           const float* u, size_t count, void* y) {
  const T* from = static_cast<const T*>(x);
  T* to = static_cast<T*>(y);
  for (size_t i = 0; i < count; ++i) to[i] = from[i];
  // From the last fault to the first, so that the first one that matches is what stays.
  for (size_t k = faults; k-- > 0;) {
    const T value(values[k]);
    for (size_t i = 0; i < count; ++i) to[i] = Select(u[i] < thresholds[k], value, to[i]);
  }
}

template <class T>
constexpr Primitives kPrimitives = {sizeof(T), Gaussian<T>, Lognormal<T>, Stuck<T>};

}  // namespace

#define NMTOOL_STRING_OF(name) #name
#define NMTOOL_STRING(macro) NMTOOL_STRING_OF(macro)

const Kernels kKernels = {NMTOOL_STRING(NMTOOL_LEVEL),
                          PhiloxOfOne,
                          NormalsOfWords,
                          Words,
                          Uniforms,
                          Normals,
                          kPrimitives<float>,
                          kPrimitives<double>,
                          kPrimitives<Float16>,
                          kPrimitives<BFloat16>};

}  // namespace nmtool::NMTOOL_LEVEL
