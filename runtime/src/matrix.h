// Dense matrices: the inner loops of products and of Cholesky's factor. Multiply-adds are fused
// where the level has that: how a sum is rounded is left to each level, unlike what is drawn.
#pragma once

#include <algorithm>
#include <vector>

#include "kernels.h"
#include "simd.h"

namespace nmtool::NMTOOL_LEVEL {

// Rows of a tile of a product: with two vectors each, as many sums as there are registers for.
#if defined(__AVX512F__)
inline constexpr int kTile = kProductRows;
#else
inline constexpr int kTile = kProductRows / 2;
#endif

// vectors[j] gets lane j of all of them.
inline void Transpose(F32 vectors[kLanes]) {
  NMTOOL_UNROLL(4)
  for (int distance = 1; distance < kLanes; distance *= 2) {
    I32 low, high;  // lanes with this bit of their number clear stay in the first of a pair
    for (int lane = 0; lane < kLanes; ++lane) {
      low[lane] = (lane & distance) == 0 ? lane : kLanes + lane - distance;
      high[lane] = low[lane] + distance;
    }
    NMTOOL_UNROLL(16)
    for (int k = 0; k < kLanes; ++k) {
      if ((k & distance) != 0) continue;
      const F32 a = vectors[k], b = vectors[k + distance];
      vectors[k] = Pick(a, b, low);
      vectors[k + distance] = Pick(a, b, high);
    }
  }
}

// Rows first to first + kRows of a product, two vectors wide. All sums stay in registers.
template <int kRows>
inline void MultiplyTile(const Product& product, size_t first, size_t column) {
  F32 sum[kRows][2];
  NMTOOL_UNROLL(16)
  for (int r = 0; r < kRows; ++r) {
    const float* start = product.start + (first + r) * product.start_stride + column;
    for (int v = 0; v < 2; ++v) sum[r][v] = Load<F32>(start + v * kLanes);
  }
  const float *a = product.a + first, *b = product.b + column;
  for (size_t k = 0; k < product.depth; ++k, a += product.a_stride, b += kGroup) {
    const F32 left = Load<F32>(b), right = Load<F32>(b + kLanes);
    NMTOOL_UNROLL(16)
    for (int r = 0; r < kRows; ++r) {
      const F32 times = a[r] - F32{};  // in all lanes
      sum[r][0] = MultiplyAdd(times, left, sum[r][0]);
      sum[r][1] = MultiplyAdd(times, right, sum[r][1]);
    }
  }
  NMTOOL_UNROLL(16)
  for (int r = 0; r < kRows; ++r) {
    float* y = product.y + (first + r) * product.y_stride + column;
    for (int v = 0; v < 2; ++v) Store(sum[r][v], y + v * kLanes);
  }
}

template <int kRows>
inline size_t MultiplyTiles(const Product& product, size_t first) {
  for (; first + kRows <= product.rows; first += kRows) {
    for (size_t column = 0; column < kGroup; column += 2 * kLanes)
      MultiplyTile<kRows>(product, first, column);
  }
  return first;
}

inline void Multiply(const Product& product) {
  size_t first = MultiplyTiles<kTile>(product, 0);
  first = MultiplyTiles<kTile / 3>(product, first);
  MultiplyTiles<1>(product, first);
}

// Rows [first, first + kGramRows) of the upper triangle, plus what columns [begin, end) of x add to
// them. Each sum is a vector of partial sums, which a transposition adds up at the end. Rows beyond
// the last one are computed as the last one, and not stored.
inline void GramTile(const float* x, size_t rows, size_t depth, size_t first, size_t begin,
                     size_t end, float* g) {
  constexpr int kAcross = kLanes > kGramRows ? kLanes / kGramRows : 1;
  constexpr int kSums = kGramRows * kAcross;
  const auto row = [&](size_t r) { return x + std::min(r, rows - 1) * depth; };
  const float *above[kGramRows], *across[kAcross];
  for (size_t r = 0; r < kGramRows; ++r) above[r] = row(first + r);
  const size_t whole = end - (end - begin) % kLanes;
  for (size_t column = first; column < rows; column += kAcross) {
    for (int c = 0; c < kAcross; ++c) across[c] = row(column + c);
    F32 sums[kSums] = {};
    for (size_t k = begin; k < whole; k += kLanes) {
      F32 right[kAcross];
      for (int c = 0; c < kAcross; ++c) right[c] = Load<F32>(across[c] + k);
      NMTOOL_UNROLL(8)
      for (size_t r = 0; r < kGramRows; ++r) {
        const F32 left = Load<F32>(above[r] + k);
        NMTOOL_UNROLL(2)
        for (int c = 0; c < kAcross; ++c)
          sums[r * kAcross + c] = MultiplyAdd(left, right[c], sums[r * kAcross + c]);
      }
    }
    float totals[kSums];
    for (int at = 0; at < kSums; at += kLanes) {
      Transpose(sums + at);
      F32 total = sums[at];
      for (int lane = 1; lane < kLanes; ++lane) total += sums[at + lane];
      Store(total, totals + at);
    }
    for (size_t r = 0; r < std::min(kGramRows, rows - first); ++r) {
      for (size_t c = 0; c < std::min<size_t>(kAcross, rows - column); ++c) {
        float& to = g[(first + r) * rows + column + c];
        to += totals[r * kAcross + c];
        for (size_t k = whole; k < end; ++k) to += above[r][k] * across[c][k];
      }
    }
  }
}

inline void Gram(const float* x, size_t rows, size_t depth, size_t first, size_t last, float* g) {
  constexpr size_t kBlock = 768;  // of x's columns: the rows of a tile fit an L1, all rows an L2
  std::fill(g + first * rows, g + last * rows, 0.0f);
  for (size_t begin = 0; begin < depth; begin += kBlock) {
    for (size_t row = first; row < last; row += kGramRows)
      GramTile(x, rows, depth, row, begin, std::min(begin + kBlock, depth), g);
  }
}

// other[k] -= times[0] rows[0][k] - … for start <= k < size, several rows at a time: a sum stays in
// its register.
template <int kRows>
inline void Subtract(const float* rows, size_t size, const float* times, size_t start,
                     float* other) {
  size_t k = start;
  for (; k + kLanes <= size; k += kLanes) {
    F32 sum = Load<F32>(other + k);
    for (int r = 0; r < kRows; ++r) sum -= times[r] * Load<F32>(rows + r * size + k);
    Store(sum, other + k);
  }
  for (; k < size; ++k) {
    for (int r = 0; r < kRows; ++r) other[k] -= times[r] * rows[r * size + k];
  }
}

// Right-looking: rows become final from the top, a few at a time, and are then subtracted from all
// below. Every inner loop runs along a row.
inline void Cholesky(float* matrix, size_t size, float tolerance) {
  constexpr size_t kRows = 8;
  std::vector<float> diagonal(size);  // of the given matrix
  for (size_t j = 0; j < size; ++j) diagonal[j] = matrix[j * size + j];
  for (size_t first = 0; first < size; first += kRows) {
    const size_t last = std::min(first + kRows, size);
    float* const rows = matrix + first * size;
    for (size_t j = first; j < last; ++j) {
      float* const row = matrix + j * size;
      const float left = row[j];
      const float factor = left > tolerance * diagonal[j] ? 1 / __builtin_sqrtf(left) : 0;
      for (size_t k = 0; k < j; ++k) row[k] = 0;
      for (size_t k = j; k < size; ++k) row[k] *= factor;
      for (size_t i = j + 1; i < last; ++i) Subtract<1>(row, size, row + i, i, matrix + i * size);
    }
    for (size_t i = last; i < size; ++i) {
      float times[kRows];  // only the last rows may be fewer, and nothing is below them
      for (size_t r = 0; r < kRows; ++r) times[r] = rows[r * size + i];
      Subtract<kRows>(rows, size, times, i, matrix + i * size);
    }
  }
}

}  // namespace nmtool::NMTOOL_LEVEL
