// Operators of lowered models, which a session makes for one machine (docs/performance.md): they
// are in no file that nmtool shares. On a CPU, for float32.
#pragma once

#include "elements.h"

namespace nmtool {

// GaussianNoise(x, std, trial, scale) of the weights of a convolution that are stored in blocks of
// output channels, as ONNX Runtime's own layout has them: x is [O, I, H, W], padded; std is [1] or
// [O]; the draws are those of the original array. Attributes besides those of the noise:
// channels (O of the original array), inputs (I of it), block (output channels per block), inner
// (input channels per block, or 1).
void BlockedGaussianNoise(const Node& node, const Context& context);

// GaussianLike(x, std, trial, scale): (std * scale) * z in the shape of x.
void GaussianLike(const Node& node, const Context& context);

// Cholesky(G): U [n, n], upper triangular, with U^T U = G for symmetric, positive semidefinite G
// [n, n].
void Cholesky(const Node& node, const Context& context);

}  // namespace nmtool
