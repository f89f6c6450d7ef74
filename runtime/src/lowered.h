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

// GaussianMatMul(x, w, std, trial, scale, bias): x (w + (std * scale) * z) + bias for x [..., K]
// and w [K, N], N a multiple of 64; std and bias are [1] or [N]. What it draws stays in the caches.
void GaussianMatMul(const Node& node, const Context& context);

// GramFactor(x): U [M, M], upper triangular, with U^T U = x x^T for x [..., K], M rows in all.
void GramFactor(const Node& node, const Context& context);

// CorrelatedNoise(x, U, std, trial, scale): x + U^T ((std * scale) * z) for x [..., N], M rows in
// all, and U [M, M], upper triangular; std is [1] or [N].
void CorrelatedNoise(const Node& node, const Context& context);

// ConvNoise(x, std, trial, scale, sum): what noise of the weights adds to a convolution of x
// [batch, channels, height, width], added to sum, which is [1] for none. x, sum and y are in blocks
// of channels; std is [1] or [O]. Sampled for the outputs: with the patches of x as rows P, the
// upper triangular U with U^T U = P P^T, and U^T ((std * scale) * z). Attributes besides those of
// the noise: channels (O), block, and of the window, for d = 0 and 1: kernel_d, stride_d,
// dilation_d, begin_d and end_d (padding).
void ConvNoise(const Node& node, const Context& context);

}  // namespace nmtool
