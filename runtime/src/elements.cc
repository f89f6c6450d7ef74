#include "elements.h"

namespace nmtool {
namespace {

size_t SizeOf(abi::ElementType type) {
  switch (type) {
    case abi::kFloat:
      return sizeof(float);
    case abi::kDouble:
      return sizeof(double);
    case abi::kFloat16:
    case abi::kBFloat16:
      return sizeof(uint16_t);
  }
  throw std::invalid_argument("x has element type " + std::to_string(type) +
                              ", expected float32, float64, float16 or bfloat16");
}

}  // namespace

Elements::Elements(const Context& context)
    : context(context), x(context.Input(0, "x")), size(SizeOf(x.type)), y(context.OutputLike(x)) {
  // The block number in the counter has 32 bits.
  if (x.count > size_t{1} << 34) {
    throw std::invalid_argument("x of shape " + ToString(x.shape) + " has over 2^34 elements");
  }
}

Broadcast Elements::Parameter(size_t index, const char* name) const {
  const Tensor tensor = context.Input(index, name);
  const Shape shape = tensor.count == 1 ? Shape{} : tensor.shape;
  if (Broadcast::Possible(shape, x.shape)) {
    return Broadcast(static_cast<const float*>(tensor.data), shape, x.shape);
  }
  throw std::invalid_argument(tensor.name + " of shape " + ToString(tensor.shape) +
                              " does not broadcast to x of shape " + ToString(x.shape));
}

Faults::Faults(const Context& context)
    : probabilities(context.Input(1, "probabilities")), values(context.Input(2, "values")) {
  if (probabilities.shape == values.shape && values.shape.size() <= 1) return;
  throw std::invalid_argument("probabilities of shape " + ToString(probabilities.shape) +
                              " and values of shape " + ToString(values.shape) +
                              ", expected [K] for both");
}

Source SourceOf(const Node& node, const Context& context, size_t trial_index) {
  return {node.seed, node.stream, context.Scalar<int64_t>(trial_index, "trial"), node.draw};
}

}  // namespace nmtool
