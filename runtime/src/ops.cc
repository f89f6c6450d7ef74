#include "ops.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace nmtool {
namespace {

// Draws of a chunk stay in the L1 cache. A task, 10 microseconds, is well above what handing it to
// a thread costs. Both are whole groups, and neither affects the result.
constexpr size_t kChunk = 32 * kGroup;
constexpr size_t kTask = 8 * kChunk;

const Primitives& PrimitivesFor(const Kernels& kernels, abi::ElementType type) {
  switch (type) {
    case abi::kFloat:
      return kernels.float32;
    case abi::kDouble:
      return kernels.float64;
    case abi::kFloat16:
      return kernels.float16;
    case abi::kBFloat16:
      return kernels.bfloat16;
  }
  throw std::invalid_argument("x has element type " + std::to_string(type) +
                              ", expected float32, float64, float16 or bfloat16");
}

// x and y, and the kernels for their element type.
class Elements {
 public:
  Elements(const Node& node, const Context& context)
      : context_(context),
        x_(context.Input(0, "x")),
        primitives_(PrimitivesFor(*node.kernels, x_.type)),
        y_(static_cast<char*>(context.OutputLike(x_))) {
    // The block number in the counter has 32 bits.
    if (x_.count > size_t{1} << 34) {
      throw std::invalid_argument("x of shape " + ToString(x_.shape) + " has over 2^34 elements");
    }
  }

  Broadcast Parameter(size_t index, const char* name) const {
    const Tensor tensor = context_.Input(index, name);
    const Shape shape = tensor.count == 1 ? Shape{} : tensor.shape;
    if (Broadcast::Possible(shape, x_.shape)) {
      return Broadcast(static_cast<const float*>(tensor.data), shape, x_.shape);
    }
    throw std::invalid_argument(tensor.name + " of shape " + ToString(tensor.shape) +
                                " does not broadcast to x of shape " + ToString(x_.shape));
  }

  void Copy() const {
    if (x_.count != 0) std::memmove(y_, x_.data, x_.count * primitives_.size);
  }

  // Calls apply(primitives, x, start, count, y) for consecutive chunks of elements, on all threads.
  template <class Apply>
  void ForEachChunk(Apply apply) const {
    context_.ParallelFor((x_.count + kTask - 1) / kTask, [&](size_t task) {
      const size_t end = std::min(x_.count, (task + 1) * kTask);
      for (size_t start = task * kTask; start < end; start += kChunk) {
        const size_t offset = start * primitives_.size;
        apply(primitives_, static_cast<const char*>(x_.data) + offset, start,
              std::min(kChunk, end - start), y_ + offset);
      }
    });
  }

 private:
  const Context& context_;
  const Tensor x_;
  const Primitives& primitives_;
  char* const y_;
};

constexpr size_t Groups(size_t elements) { return (elements + kGroup - 1) / kGroup; }

Source SourceOf(const Node& node, const Context& context, size_t trial_index) {
  return {node.seed, node.stream, context.Scalar<int64_t>(trial_index, "trial"), node.draw};
}

}  // namespace

void GaussianNoise(const Node& node, const Context& context) {
  const Elements elements(node, context);
  const Broadcast std = elements.Parameter(1, "std");
  const Source source = SourceOf(node, context, 2);
  const float scale = context.Scalar<float>(3, "scale");
  if (scale == 0) return elements.Copy();
  elements.ForEachChunk(
      [&](const Primitives& primitives, const void* x, size_t start, size_t count, void* y) {
        float z[kChunk], buffer[kChunk];
        node.kernels->normals(source, start / kGroup, Groups(count), z);
        primitives.gaussian(x, std.View(start, count, buffer), scale, z, count, y);
      });
}

void LognormalNoise(const Node& node, const Context& context) {
  const Elements elements(node, context);
  const Broadcast mean = elements.Parameter(1, "mean"), std = elements.Parameter(2, "std");
  const Source source = SourceOf(node, context, 3);
  const float scale = context.Scalar<float>(4, "scale");
  if (scale == 0) return elements.Copy();
  elements.ForEachChunk(
      [&](const Primitives& primitives, const void* x, size_t start, size_t count, void* y) {
        float z[kChunk], means[kChunk], stds[kChunk];
        node.kernels->normals(source, start / kGroup, Groups(count), z);
        primitives.lognormal(x, mean.View(start, count, means), std.View(start, count, stds), scale,
                             z, count, y);
      });
}

void StuckFaults(const Node& node, const Context& context) {
  const Elements elements(node, context);
  const Tensor probabilities = context.Input(1, "probabilities");
  const Tensor values = context.Input(2, "values");
  if (probabilities.shape != values.shape || values.shape.size() > 1) {
    throw std::invalid_argument("probabilities of shape " + ToString(probabilities.shape) +
                                " and values of shape " + ToString(values.shape) +
                                ", expected [K] for both");
  }
  const Source source = SourceOf(node, context, 3);
  const float scale = context.Scalar<float>(4, "scale");
  if (scale == 0) return elements.Copy();
  const float* probability = static_cast<const float*>(probabilities.data);
  std::vector<float> thresholds(probabilities.count);
  std::partial_sum(probability, probability + probabilities.count, thresholds.begin());
  for (float& threshold : thresholds) threshold *= scale;
  elements.ForEachChunk(
      [&](const Primitives& primitives, const void* x, size_t start, size_t count, void* y) {
        float u[kChunk];
        node.kernels->uniforms(source, start / kGroup, Groups(count), u);
        primitives.stuck(x, thresholds.data(), static_cast<const float*>(values.data),
                         thresholds.size(), u, count, y);
      });
}

}  // namespace nmtool
