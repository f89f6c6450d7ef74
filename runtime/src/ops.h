// The three operators on a CPU. What they compute is in docs/noise-spec.md; how a chunk is
// computed, in kernels.cc; here is what is between: chunks and threads.
#pragma once

#include "elements.h"

namespace nmtool {

void GaussianNoise(const Node& node, const Context& context);
void LognormalNoise(const Node& node, const Context& context);
void StuckFaults(const Node& node, const Context& context);

}  // namespace nmtool
