// What the operators around products of lowered models have in common.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <vector>

#include "elements.h"

namespace nmtool {

inline constexpr float kZeros[kGroup] = {};

// Floats that begin a cache line, so that no vector of them is in two.
class Buffer {
 public:
  explicit Buffer(size_t count)
      : data_(static_cast<float*>(::operator new(count * sizeof(float), kAlignment))) {}
  float* data() const { return data_.get(); }

 private:
  static constexpr std::align_val_t kAlignment{kCacheLine};
  struct Delete {
    void operator()(float* data) const { ::operator delete(data, kAlignment); }
  };
  std::unique_ptr<float, Delete> data_;
};

// An input of one value, or of one for each channel, times `scale`, for all channels; zeros up to a
// whole group.
std::vector<float> PerChannel(const Tensor& given, size_t channels, float scale);

// This thread's memory for at least so many floats, until it asks again.
float* Scratch(size_t count);

// The upper triangular u [rows, rows] with u^T u = x x^T, for x [rows, depth].
void Factor(const Node& node, const Context& context, const float* x, size_t rows, size_t depth,
            float* u);

}  // namespace nmtool
