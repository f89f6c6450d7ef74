#include "broadcast.h"

#include <algorithm>

namespace nmtool {
namespace {

// The size of `shape` in the dimension that numpy's rules align with dimension d of `target`.
int64_t Aligned(const Shape& shape, const Shape& target, size_t d) {
  const size_t missing = target.size() - shape.size();
  return d < missing ? 1 : shape[d - missing];
}

}  // namespace

bool Broadcast::Possible(const Shape& shape, const Shape& target) {
  if (shape.size() > target.size()) return false;
  for (size_t d = 0; d < target.size(); ++d) {
    const int64_t size = Aligned(shape, target, d);
    if (size != 1 && size != target[d]) return false;
  }
  return true;
}

Broadcast::Broadcast(const float* data, const Shape& shape, const Shape& target)
    : data_(data), axes_{} {
  size_t stride = 1;
  for (size_t d = target.size(); d-- > 0;) {
    const size_t size = static_cast<size_t>(target[d]);
    if (size == 1) continue;
    const bool broadcast = Aligned(shape, target, d) == 1;
    if (!axes_.empty() && (axes_.back().stride == 0) == broadcast) {
      axes_.back().size *= size;
    } else {
      axes_.push_back({size, broadcast ? 0 : stride});
    }
    if (!broadcast) stride *= size;
  }
  if (axes_.empty()) axes_.push_back({1, 1});
}

const float* Broadcast::View(size_t start, size_t count, float* buffer) const {
  const Axis& inner = axes_.front();
  if (axes_.size() == 1 && inner.stride == 1) return data_ + start;
  float* out = buffer;
  float* const end = buffer + count;
  size_t position = start % inner.size;
  for (size_t outer = start / inner.size; out != end; ++outer, position = 0) {
    const float* from = data_ + position * inner.stride;
    size_t rest = outer;
    for (size_t axis = 1; axis + 1 < axes_.size(); rest /= axes_[axis++].size) {
      from += rest % axes_[axis].size * axes_[axis].stride;
    }
    from += rest * axes_.back().stride;
    const size_t run = std::min(inner.size - position, static_cast<size_t>(end - out));
    out = inner.stride == 0 ? std::fill_n(out, run, *from) : std::copy_n(from, run, out);
  }
  return buffer;
}

}  // namespace nmtool
