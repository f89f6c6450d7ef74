// Reads a parameter (std, mean) as if it had the shape of x: unidirectional broadcasting as ONNX
// and numpy define it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace nmtool {

using Shape = std::vector<int64_t>;

class Broadcast {
 public:
  // Whether a parameter of this shape broadcasts to `target`.
  static bool Possible(const Shape& shape, const Shape& target);

  // Requires Possible(shape, target).
  Broadcast(const float* data, const Shape& shape, const Shape& target);

  // The values for elements start <= e < start + count of x: in the parameter itself where they are
  // contiguous there, else copied to `buffer`.
  const float* View(size_t start, size_t count, float* buffer) const;

  // Whether all elements get the same value, data()[0].
  bool Same() const { return axes_.size() == 1 && axes_.front().stride == 0; }

  // Neighbouring dimensions that are all broadcast, or all not, are one axis; so most parameters
  // have one to three.
  struct Axis {
    size_t size;
    size_t stride;  // in the parameter; 0 where it is broadcast
  };

  const float* data() const { return data_; }
  const std::vector<Axis>& axes() const { return axes_; }  // innermost first; never empty

 private:
  const float* data_;
  std::vector<Axis> axes_;
};

}  // namespace nmtool
