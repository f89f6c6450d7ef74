#include "ops.h"

#include <algorithm>

#include "kernels.h"

namespace nmtool::cuda {
namespace {

void Check(Error error) {
  if (error != nullptr) throw std::runtime_error(error);
}

Array ArrayOf(const Elements& elements) {
  return {elements.x.type, elements.x.data, elements.x.count, elements.y};
}

Drawn DrawnOn(const Node& node, const Context& context, size_t trial_index) {
  void* const stream = context.ComputeStream();
  Check(NotInAGraph(stream));
  return {SourceOf(node, context, trial_index), nullptr, stream};
}

void CopyUnchanged(const Elements& elements) {
  Check(Copy(elements.x.data, elements.x.count * elements.size, elements.y,
             elements.context.ComputeStream()));
}

}  // namespace

Parameter::Parameter(const Broadcast& broadcast) : data(broadcast.data()), count(0), axes{} {
  if (broadcast.axes().size() > kAxes) {
    throw std::invalid_argument("a parameter alternates over " +
                                std::to_string(broadcast.axes().size()) +
                                " groups of dimensions, expected at most " + std::to_string(kAxes));
  }
  for (const Broadcast::Axis& axis : broadcast.axes()) {
    axes[count++] = {axis.size, UINT64_MAX / std::max<size_t>(axis.size, 1) + 1, axis.stride};
  }
}

void GaussianNoise(const Node& node, const Context& context) {
  const Elements elements(context);
  const Parameter std(elements.Parameter(1, "std"));
  const Drawn drawn = DrawnOn(node, context, 2);
  const float scale = context.Scalar<float>(3, "scale");
  if (scale == 0) return CopyUnchanged(elements);
  Check(GaussianNoise(drawn, ArrayOf(elements), std, scale));
}

void LognormalNoise(const Node& node, const Context& context) {
  const Elements elements(context);
  const Parameter mean(elements.Parameter(1, "mean")), std(elements.Parameter(2, "std"));
  const Drawn drawn = DrawnOn(node, context, 3);
  const float scale = context.Scalar<float>(4, "scale");
  if (scale == 0) return CopyUnchanged(elements);
  Check(LognormalNoise(drawn, ArrayOf(elements), mean, std, scale));
}

void StuckFaults(const Node& node, const Context& context) {
  const Elements elements(context);
  const Faults faults(context);
  const Drawn drawn = DrawnOn(node, context, 3);
  const float scale = context.Scalar<float>(4, "scale");
  if (scale == 0) return CopyUnchanged(elements);
  Check(StuckFaults(drawn, ArrayOf(elements), static_cast<const float*>(faults.probabilities.data),
                    static_cast<const float*>(faults.values.data), faults.probabilities.count,
                    scale));
}

}  // namespace nmtool::cuda
