// The three operators of the CUDA provider. x, y and the parameters are in the memory of the GPU,
// the trial and the scale in the host's, so that a run need not wait for the GPU.
#pragma once

#include "../elements.h"

namespace nmtool::cuda {

void GaussianNoise(const Node& node, const Context& context);
void LognormalNoise(const Node& node, const Context& context);
void StuckFaults(const Node& node, const Context& context);

}  // namespace nmtool::cuda
