// What every SIMD level provides: random draws, the three primitives applied to draws, and what
// lowered models need.
// kernels.cc implements it once and is compiled once per level.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nmtool {

inline constexpr size_t kGroup =
    64;  // elements per group: 16 counters of 4 words (docs/noise-spec.md)

// Where noise comes from: the Philox key, and the counter words other than the block number.
struct Source {
  uint32_t key[2];
  uint32_t counter[3];

  Source(int64_t seed, int64_t stream, int64_t trial, int64_t draw)
      : key{static_cast<uint32_t>(seed), static_cast<uint32_t>(static_cast<uint64_t>(seed) >> 32)},
        counter{static_cast<uint32_t>(trial), static_cast<uint32_t>(stream),
                static_cast<uint32_t>(stream >> 32 << 8 | draw)} {}
};

// The primitives for one element type of x and y; all else is float32. y may be x, or must not
// overlap it.
struct Primitives {
  size_t size;  // of an element in bytes
  // y = x + T((std * scale) * z)
  void (*gaussian)(const void* x, const float* std, float scale, const float* z, size_t count,
                   void* y);
  // y = x * T(exp(scale * (mean + std * z))); z has whole groups and is overwritten.
  void (*lognormal)(const void* x, const float* mean, const float* std, float scale, float* z,
                    size_t count, void* y);
  // y = T(values[k]) for the first k with u < thresholds[k], else x
  void (*stuck)(const void* x, const float* thresholds, const float* values, size_t faults,
                const float* u, size_t count, void* y);
};

inline constexpr size_t kAhead = 16;

// Some columns of a block of output channels (lowered.h), and where they are stored. Column
// (t * inner + i) * positions + p is line (t * positions + p) * inner + i.
struct Block {
  size_t channels, columns, lines;  // lines without a column are padding
  size_t inner, positions;
};

// Some columns of a block of output channels that are whole groups of draws, each channel's
// `channel_groups` behind those of the one before.
struct Lines {
  size_t channels;
  uint64_t first_group;
  size_t channel_groups, groups;
  const uint32_t* lines;  // where the line of each column begins; kGroup more are read
};

// Memory that is fetched while the normals are drawn, as many bytes as they have: what they will be
// added to, and where the sums go. Drawing leaves the memory idle, and adding would wait for it.
struct Ahead {
  const char* read;
  const char* write;
};

inline constexpr size_t kCacheLine = 64;

// kGroup columns of weights x, whose rows are `stride` apart. A row's draws are a group, the next
// row's `group_step` groups on.
struct Panel {
  const float* x;
  size_t stride, rows;
  uint64_t first_group;
  size_t group_step;
};

// y[r][n] = start[r][n] + sum over k < depth of a[k][r] b[k][n], for n < kGroup. Strides are from
// row to row, those of b kGroup.
struct Product {
  size_t rows, depth;
  const float* a;
  size_t a_stride;
  const float* b;
  const float* start;
  size_t start_stride;
  float* y;
  size_t y_stride;
};

// Rows that `multiply`, and `gram`, compute at a time if there are as many.
inline constexpr size_t kProductRows = 12, kGramRows = 8;

struct Kernels {
  const char* level;
  size_t lanes;  // floats in a vector
  void (*philox)(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);
  void (*box_muller)(const uint32_t* words, size_t groups, float* out);
  void (*words)(const Source& source, uint64_t first_group, size_t groups, uint32_t* out);
  void (*uniforms)(const Source& source, uint64_t first_group, size_t groups, float* out);
  void (*normals)(const Source& source, uint64_t first_group, size_t groups, float* out);
  void (*normals_ahead)(const Source& source, uint64_t first_group, size_t groups, float* out,
                        const Ahead& ahead);
  // y = x + size * z of whole groups of float32, drawn and added in one go.
  void (*gaussian_groups)(const Source& source, uint64_t first_group, size_t groups, const float* x,
                          float size, float* y);
  // y = x + (std[r] * scale) * z for channel r of a block's lines. The channels are a multiple of
  // the lanes.
  void (*gaussian_lines)(const Source& source, const Lines& lines, const float* x, const float* std,
                         float scale, float* y);
  // y = x + (std[r] * scale) * z[rows[r] + c] for column c of channel r. The channels are a
  // multiple of the lanes. z is read for up to kAhead elements behind the last one.
  void (*gaussian_block)(const Block& block, const float* x, const float* std, float scale,
                         const float* z, const size_t* rows, float* y);
  // y = x + size[c] * z in column c of a panel; the rows of y follow each other.
  void (*gaussian_panel)(const Source& source, const Panel& panel, const float* size, float* y);
  void (*multiply)(const Product& product);
  // Rows [first, last) of the upper triangle of g = x x^T, for x [rows, depth].
  void (*gram)(const float* x, size_t rows, size_t depth, size_t first, size_t last, float* g);
  // The upper triangle U of the symmetric matrix G = U^T U in `matrix` [size, size], in place; the
  // lower one becomes zero. G may be singular: what is left of a diagonal element below
  // `tolerance` times that element counts as zero.
  void (*cholesky)(float* matrix, size_t size, float tolerance);
  Primitives float32, float64, float16, bfloat16;
};

namespace portable {
extern const Kernels kKernels;
}
namespace avx2 {
extern const Kernels kKernels;
}
namespace avx512 {
extern const Kernels kKernels;
}

}  // namespace nmtool
