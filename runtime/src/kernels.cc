// The kernels of one SIMD level. CMake compiles this file once per level, with the level's compiler
// flags and its name in NMTOOL_LEVEL.
#include "kernels.h"

#include <algorithm>

#include "box_muller.h"
#include "element.h"
#include "exponential.h"
#include "matrix.h"
#include "philox.h"

namespace nmtool::NMTOOL_LEVEL {
namespace {

constexpr size_t kWords = 4;                // of a counter
constexpr size_t kRun = kGroup / kWords;    // elements per word of a group
constexpr size_t kVectors = kRun / kLanes;  // vectors per run

// Where the n-th vector of counters puts its first word.
constexpr size_t Offset(size_t n) { return n / kVectors * kGroup + n % kVectors * kLanes; }

// Calls transform(n, words) for each n < count, where words[j] are the j-th words of the counters
// first + offset(n): first[0] are those of the even 32-bit lanes, first[1] of the odd ones. The
// words of the next counters are drawn before the current ones are transformed: the two are
// independent, so the compiler mixes their instructions and neither waits for its own latencies.
template <class Offset, class Transform>
inline void ForEachDraw(const Source& source, const U64 (&first)[2], size_t count, Offset offset,
                        Transform transform) {
  const RoundKeys keys(source.key);
  const U64 c1 = U64{} + source.counter[0], c2 = U64{} + source.counter[1],
            c3 = U64{} + source.counter[2];
  const auto draw = [&](size_t n, U32 words[kWords]) {
    const uint64_t at = offset(n);
    U64 drawn[2][kWords] = {{first[0] + at, c1, c2, c3}, {first[1] + at, c1, c2, c3}};
    Philox(drawn, keys, words);
  };
  U32 words[kWords], next[kWords];
  draw(0, words);
  for (size_t n = 0; n < count; ++n) {
    draw(n + 1, next);
    transform(n, words);
    for (size_t j = 0; j < kWords; ++j) words[j] = next[j];
  }
}

// The same for each kLanes counters of every step-th group: the run of word j goes to
// Offset(n) + j * kRun.
template <class Transform>
inline void ForEachVector(const Source& source, uint64_t first_group, size_t groups,
                          Transform transform, size_t step = 1) {
  U64 even;
  for (int i = 0; i < kLanes / 2; ++i) even[i] = first_group * kRun + 2 * i;
  const auto offset = [&](size_t n) { return n / kVectors * step * kRun + n % kVectors * kLanes; };
  ForEachDraw(source, {even, even + 1}, groups * kVectors, offset, transform);
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
  ForEachVector(source, first_group, groups, [&](size_t n, const U32 words[kWords]) {
    for (size_t j = 0; j < kWords; ++j) Store(words[j], out + Offset(n) + j * kRun);
  });
}

void Uniforms(const Source& source, uint64_t first_group, size_t groups, float* out) {
  ForEachVector(source, first_group, groups, [&](size_t n, const U32 words[kWords]) {
    for (size_t j = 0; j < kWords; ++j) {
      Store(ToFloat((I32)(words[j] >> 8)) * 0x1p-24f, out + Offset(n) + j * kRun);
    }
  });
}

void Normals(const Source& source, uint64_t first_group, size_t groups, float* out) {
  ForEachVector(source, first_group, groups,
                [&](size_t n, const U32 words[kWords]) { StoreNormals(words, out + Offset(n)); });
}

void NormalsAhead(const Source& source, uint64_t first_group, size_t groups, float* out,
                  const Ahead& ahead) {
  ForEachVector(source, first_group, groups, [&](size_t n, const U32 words[kWords]) {
    constexpr size_t kStep = kWords * kLanes * sizeof(float);
    for (size_t at = n * kStep; at < (n + 1) * kStep; at += kCacheLine) {
      __builtin_prefetch(ahead.read + at, 0);
      __builtin_prefetch(ahead.write + at, 1);
    }
    StoreNormals(words, out + Offset(n));
  });
}

void GaussianPanel(const Source& source, const Panel& panel, const float* size, float* y) {
  ForEachVector(
      source, panel.first_group, panel.rows,
      [&](size_t n, const U32 words[kWords]) {
        constexpr size_t kDistance = 8;  // rows
        const float* x = panel.x + n / kVectors * panel.stride;
        for (size_t at = 0; at < kGroup; at += kCacheLine / sizeof(float))
          __builtin_prefetch(x + kDistance * panel.stride + at, 0);
        for (size_t pair = 0; pair < kWords; pair += 2) {
          F32 z[2];
          BoxMuller(words[pair], words[pair + 1], &z[0], &z[1]);
          for (size_t j = 0; j < 2; ++j) {
            const size_t column = n % kVectors * kLanes + (pair + j) * kRun;
            Store(Load<F32>(x + column) + Load<F32>(size + column) * z[j],
                  y + n / kVectors * kGroup + column);
          }
        }
      },
      panel.group_step);
}

void GaussianGroups(const Source& source, uint64_t first_group, size_t groups, const float* x,
                    float size, float* y) {
  constexpr size_t kDistance = 8 * kGroup;  // of what is fetched before it is needed
  ForEachVector(source, first_group, groups, [&](size_t n, const U32 words[kWords]) {
    for (size_t pair = 0; pair < kWords; pair += 2) {
      const size_t at = Offset(n) + pair * kRun;
      for (const size_t next : {at + kDistance, at + kRun + kDistance}) {
        __builtin_prefetch(x + next, 0);
        __builtin_prefetch(y + next, 1);
      }
      F32 z0, z1;
      BoxMuller(words[pair], words[pair + 1], &z0, &z1);
      Store(Load<F32>(x + at) + size * z0, y + at);
      Store(Load<F32>(x + at + kRun) + size * z1, y + at + kRun);
    }
  });
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

// The lanes are the channels, not elements of one: so lines come out as they are stored.
void GaussianLines(const Source& source, const Lines& lines, const float* x, const float* std,
                   float scale, float* y) {
  for (size_t channel = 0; channel < lines.channels; channel += kLanes) {
    const F32 size = Load<F32>(std + channel) * scale;
    const auto first = [&](int lane) {
      return (lines.first_group + (channel + lane) * lines.channel_groups) * kRun;
    };
    U64 even, odd;
    for (int i = 0; i < kLanes / 2; ++i) {
      even[i] = first(2 * i);
      odd[i] = first(2 * i + 1);
    }
    ForEachDraw(
        source, {even, odd}, lines.groups * kRun, [](size_t n) { return n; },
        [&](size_t n, const U32 words[kWords]) {
          const uint32_t* const line = lines.lines + n / kRun * kGroup + n % kRun;
          for (size_t pair = 0; pair < kWords; pair += 2) {
            F32 z[2];
            BoxMuller(words[pair], words[pair + 1], &z[0], &z[1]);
            for (size_t j = 0; j < 2; ++j) {
              const size_t run = (pair + j) * kRun;
              __builtin_prefetch(x + line[run + kGroup] + channel, 0);
              __builtin_prefetch(y + line[run + kGroup] + channel, 1);
              const size_t at = line[run] + channel;
              Store(Load<F32>(x + at) + size * z[j], y + at);
            }
          }
        });
  }
}

void GaussianBlock(const Block& block, const float* x, const float* std, float scale,
                   const float* z, const size_t* rows, float* y) {
  const size_t turn = block.inner * block.positions;
  for (size_t channel = 0; channel < block.channels; channel += kLanes) {
    const F32 size = Load<F32>(std + channel) * scale;
    size_t start = 0, inner = 0, position = 0;  // of the line of a column: counted, not divided for
    for (size_t column = 0; column < block.columns; column += kLanes) {
      F32 draws[kLanes];
      for (int k = 0; k < kLanes; ++k) draws[k] = Load<F32>(z + rows[channel + k] + column);
      Transpose(draws);
      const size_t count = std::min<size_t>(kLanes, block.columns - column);
      for (size_t k = 0; k < count; ++k) {
        const size_t at = (start + position * block.inner + inner) * block.channels + channel;
        Store(Load<F32>(x + at) + size * draws[k], y + at);
        if (++position < block.positions) continue;
        position = 0;
        if (++inner < block.inner) continue;
        inner = 0;
        start += turn;
      }
    }
  }
  const size_t whole = block.columns / turn * turn;  // lines of turns that have all columns
  for (size_t line = whole; line < block.lines; ++line) {
    if (whole + (line - whole) % block.inner * block.positions + (line - whole) / block.inner <
        block.columns)
      continue;
    for (size_t c = 0; c < block.channels; ++c)
      y[line * block.channels + c] = x[line * block.channels + c];
  }
}

template <class T>
constexpr Primitives kPrimitives = {sizeof(T), Gaussian<T>, Lognormal<T>, Stuck<T>};

}  // namespace

#define NMTOOL_STRING_OF(name) #name
#define NMTOOL_STRING(macro) NMTOOL_STRING_OF(macro)

const Kernels kKernels = {NMTOOL_STRING(NMTOOL_LEVEL),
                          kLanes,
                          PhiloxOfOne,
                          NormalsOfWords,
                          Words,
                          Uniforms,
                          Normals,
                          NormalsAhead,
                          GaussianGroups,
                          GaussianLines,
                          GaussianBlock,
                          GaussianPanel,
                          Multiply,
                          Gram,
                          Cholesky,
                          kPrimitives<float>,
                          kPrimitives<double>,
                          kPrimitives<Float16>,
                          kPrimitives<BFloat16>};

}  // namespace nmtool::NMTOOL_LEVEL
