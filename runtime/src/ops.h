// The three operators. What they compute is in docs/noise-spec.md; how a chunk is computed, in
// kernels.cc; here is what is between: inputs, broadcasting and threads.
#pragma once

#include "context.h"
#include "kernels.h"

namespace nmtool {

// What a node knows before it runs.
struct Node {
  const OrtApi* api;
  const Kernels* kernels;
  int64_t seed, stream, draw;
};

void GaussianNoise(const Node& node, const Context& context);
void LognormalNoise(const Node& node, const Context& context);
void StuckFaults(const Node& node, const Context& context);

}  // namespace nmtool
