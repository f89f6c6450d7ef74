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
    case abi::kDouble:
      return kernels.float64;
    case abi::kFloat16:
      return kernels.float16;
    case abi::kBFloat16:
      return kernels.bfloat16;
    default:
      return kernels.float32;
  }
}

void Copy(const Elements& elements) {
  if (elements.x.count == 0) return;
  std::memmove(elements.y, elements.x.data, elements.x.count * elements.size);
}

// Calls apply(primitives, x, start, count, y) for consecutive chunks of elements, on all threads.
template <class Apply>
void ForEachChunk(const Elements& elements, const Kernels& kernels, Apply apply) {
  const Primitives& primitives = PrimitivesFor(kernels, elements.x.type);
  const size_t total = elements.x.count;
  elements.context.ParallelFor((total + kTask - 1) / kTask, [&](size_t task) {
    const size_t end = std::min(total, (task + 1) * kTask);
    for (size_t start = task * kTask; start < end; start += kChunk) {
      const size_t offset = start * elements.size;
      apply(primitives, static_cast<const char*>(elements.x.data) + offset, start,
            std::min(kChunk, end - start), static_cast<char*>(elements.y) + offset);
    }
  });
}

constexpr size_t Groups(size_t elements) { return (elements + kGroup - 1) / kGroup; }

}  // namespace

void GaussianNoise(const Node& node, const Context& context) {
  const Elements elements(context);
  const Broadcast std = elements.Parameter(1, "std");
  const Source source = SourceOf(node, context, 2);
  const float scale = context.Scalar<float>(3, "scale");
  if (scale == 0) return Copy(elements);
  const bool one_go = elements.x.type == abi::kFloat && std.Same();
  ForEachChunk(
      elements, *node.kernels,
      [&](const Primitives& primitives, const void* x, size_t start, size_t count, void* y) {
        if (one_go && count % kGroup == 0) {
          return node.kernels->gaussian_groups(source, start / kGroup, count / kGroup,
                                               static_cast<const float*>(x), std.data()[0] * scale,
                                               static_cast<float*>(y));
        }
        float z[kChunk], buffer[kChunk];
        node.kernels->normals_ahead(source, start / kGroup, Groups(count), z,
                                    {static_cast<const char*>(x), static_cast<const char*>(y)});
        primitives.gaussian(x, std.View(start, count, buffer), scale, z, count, y);
      });
}

void LognormalNoise(const Node& node, const Context& context) {
  const Elements elements(context);
  const Broadcast mean = elements.Parameter(1, "mean"), std = elements.Parameter(2, "std");
  const Source source = SourceOf(node, context, 3);
  const float scale = context.Scalar<float>(4, "scale");
  if (scale == 0) return Copy(elements);
  ForEachChunk(
      elements, *node.kernels,
      [&](const Primitives& primitives, const void* x, size_t start, size_t count, void* y) {
        float z[kChunk], means[kChunk], stds[kChunk];
        node.kernels->normals(source, start / kGroup, Groups(count), z);
        primitives.lognormal(x, mean.View(start, count, means), std.View(start, count, stds), scale,
                             z, count, y);
      });
}

void StuckFaults(const Node& node, const Context& context) {
  const Elements elements(context);
  const Faults faults(context);
  const Source source = SourceOf(node, context, 3);
  const float scale = context.Scalar<float>(4, "scale");
  if (scale == 0) return Copy(elements);
  const float* probability = static_cast<const float*>(faults.probabilities.data);
  std::vector<float> thresholds(faults.probabilities.count);
  std::partial_sum(probability, probability + faults.probabilities.count, thresholds.begin());
  for (float& threshold : thresholds) threshold *= scale;
  ForEachChunk(
      elements, *node.kernels,
      [&](const Primitives& primitives, const void* x, size_t start, size_t count, void* y) {
        float u[kChunk];
        node.kernels->uniforms(source, start / kGroup, Groups(count), u);
        primitives.stuck(x, thresholds.data(), static_cast<const float*>(faults.values.data),
                         thresholds.size(), u, count, y);
      });
}

}  // namespace nmtool
