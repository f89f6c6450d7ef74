#include <algorithm>

#include "lowered.h"
#include "products.h"

namespace nmtool {
namespace {

// x [batch, channels, height, width] in blocks of channels, and the outputs' positions.
struct Grid {
  size_t block, batch, blocks, size[2], out[2];
  const ConvWindow& window;

  Grid(const Node& node, const Tensor& x)
      : block(static_cast<size_t>(node.blocked.block)), batch(0), blocks(0), window(node.window) {
    const bool fits = x.type == abi::kFloat && x.shape.size() == 4 && block > 0 &&
                      x.shape[1] % static_cast<int64_t>(block) == 0 && window.stride[0] > 0 &&
                      window.stride[1] > 0;
    if (!fits) {
      throw std::invalid_argument("x of shape " + ToString(x.shape) +
                                  ", expected float32 images with channels in blocks of " +
                                  std::to_string(block));
    }
    batch = static_cast<size_t>(x.shape[0]);
    blocks = static_cast<size_t>(x.shape[1]) / block;
    for (size_t d = 0; d < 2; ++d) {
      const int64_t reach = window.dilation[d] * (window.kernel[d] - 1) + 1;
      const int64_t room = x.shape[2 + d] + window.begin[d] + window.end[d] - reach;
      size[d] = static_cast<size_t>(x.shape[2 + d]);
      out[d] = room < 0 ? 0 : static_cast<size_t>(room / window.stride[d] + 1);
    }
  }

  size_t Positions() const { return out[0] * out[1]; }
  size_t Rows() const { return batch * Positions(); }
  size_t Depth() const {
    return blocks * block * static_cast<size_t>(window.kernel[0] * window.kernel[1]);
  }

  // What the convolution sees at one position, in some order that is the same for all.
  void Patch(const float* x, size_t row, float* to) const {
    const size_t image = row / Positions(), position = row % Positions();
    const int64_t top =
        static_cast<int64_t>(position / out[1]) * window.stride[0] - window.begin[0];
    const int64_t left =
        static_cast<int64_t>(position % out[1]) * window.stride[1] - window.begin[1];
    for (size_t b = 0; b < blocks; ++b) {
      const float* const plane = x + (image * blocks + b) * size[0] * size[1] * block;
      for (int64_t i = 0; i < window.kernel[0]; ++i) {
        for (int64_t j = 0; j < window.kernel[1]; ++j, to += block) {
          const int64_t h = top + i * window.dilation[0], w = left + j * window.dilation[1];
          const bool inside = h >= 0 && w >= 0 && h < static_cast<int64_t>(size[0]) &&
                              w < static_cast<int64_t>(size[1]);
          if (inside) {
            std::copy_n(plane + (static_cast<size_t>(h) * size[1] + static_cast<size_t>(w)) * block,
                        block, to);
          } else {
            std::fill_n(to, block, 0.0f);
          }
        }
      }
    }
  }
};

}  // namespace

void ConvNoise(const Node& node, const Context& context) {
  const Tensor x = context.Input(0, "x"), sum = context.Input(4, "sum");
  const Grid grid(node, x);
  const Source source = SourceOf(node, context, 2);
  const size_t channels = static_cast<size_t>(node.blocked.channels);
  const std::vector<float> size =
      PerChannel(context.Input(1, "std"), channels, context.Scalar<float>(3, "scale"));
  const size_t blocks = (channels + grid.block - 1) / grid.block;
  const Shape shape = {x.shape[0], static_cast<int64_t>(blocks * grid.block),
                       static_cast<int64_t>(grid.out[0]), static_cast<int64_t>(grid.out[1])};
  const bool adds = sum.count != 1;
  if (adds && sum.shape != shape) {
    throw std::invalid_argument("sum of shape " + ToString(sum.shape) + ", expected [1] or " +
                                ToString(shape));
  }
  const float* const before = static_cast<const float*>(sum.data);
  float* const y = static_cast<float*>(context.Output(shape));
  const size_t rows = grid.Rows(), depth = grid.Depth(), positions = grid.Positions();
  if (rows == 0) return;

  const Buffer patches(rows * depth), factor(rows * rows);
  context.ParallelFor(rows, [&](size_t row) {
    grid.Patch(static_cast<const float*>(x.data), row, patches.data() + row * depth);
  });
  Factor(node, context, patches.data(), rows, depth, factor.data());

  const size_t panels = (blocks * grid.block + kGroup - 1) / kGroup;
  context.ParallelFor(panels, [&](size_t panel) {
    float* const drawn = Scratch(2 * rows * kGroup);
    float* const noise = drawn + rows * kGroup;
    node.kernels->gaussian_panel(source, {kZeros, 0, rows, panel, panels},
                                 size.data() + panel * kGroup, drawn);
    for (size_t row = 0; row < rows; row += kProductRows) {
      const size_t tile = std::min(kProductRows, rows - row);
      node.kernels->multiply({tile, row + tile, factor.data() + row, rows, drawn, kZeros, 0,
                              noise + row * kGroup, kGroup});
    }
    const size_t first = panel * (kGroup / grid.block);
    for (size_t b = first; b < std::min(first + kGroup / grid.block, blocks); ++b) {
      for (size_t row = 0; row < rows; ++row) {
        const size_t image = row / positions, position = row % positions;
        const size_t at = ((image * blocks + b) * positions + position) * grid.block;
        const float* const from = noise + row * kGroup + (b - first) * grid.block;
        for (size_t c = 0; c < grid.block; ++c) y[at + c] = from[c] + (adds ? before[at + c] : 0);
      }
    }
  });
}

}  // namespace nmtool
