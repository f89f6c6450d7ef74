// What the operators have in common before they compute: x, y, the parameters, and where the noise
// comes from.
#pragma once

#include "context.h"
#include "kernels.h"

namespace nmtool {

// How weights are blocked (lowered.h); of other operators, zeros.
struct BlockedWeights {
  int64_t channels, inputs, block, inner;
};

// What a convolution sees, by height and width (lowered.h); of other operators, zeros.
struct ConvWindow {
  int64_t kernel[2], stride[2], dilation[2], begin[2], end[2];
};

// What a node knows before it runs.
struct Node {
  const OrtApi* api;
  const Kernels* kernels;  // of the CPU
  int64_t seed, stream, draw;
  BlockedWeights blocked;
  ConvWindow window;
};

// x and y of a run.
class Elements {
 public:
  // Throws unless x has a floating type and a size that the generator can count.
  explicit Elements(const Context& context);

  // The input called `name`, which must broadcast to x.
  Broadcast Parameter(size_t index, const char* name) const;

  const Context& context;
  const Tensor x;
  const size_t size;  // of an element in bytes
  void* const y;
};

// Inputs 1 and 2 of StuckFaults, float32 [K] each.
struct Faults {
  explicit Faults(const Context& context);

  const Tensor probabilities, values;
};

Source SourceOf(const Node& node, const Context& context, size_t trial_index);

}  // namespace nmtool
