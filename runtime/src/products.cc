#include "products.h"

#include <algorithm>
#include <cfloat>

#include "lowered.h"

namespace nmtool {
namespace {

constexpr size_t kDepth = 768;  // rows of a panel: with its kGroup columns it fits an L2

// A tensor as the matrix of its last axis, and all others.
struct Matrix {
  const float* data;
  size_t rows, columns;

  explicit Matrix(const Tensor& x)
      : data(static_cast<const float*>(x.data)),
        rows(0),
        columns(x.shape.empty() ? 0 : static_cast<size_t>(x.shape.back())) {
    if (x.type != abi::kFloat || x.shape.empty()) {
      throw std::invalid_argument(x.name + " of shape " + ToString(x.shape) +
                                  ", expected float32 [..., n]");
    }
    rows = columns == 0 ? 0 : x.count / columns;
  }
};

// The rows of a matrix, kProductRows side by side, so that a product reads what follows each other:
// [rows / kProductRows, depth, kProductRows].
class Packed {
 public:
  Packed(const Context& context, const Matrix& x)
      : depth_(x.columns),
        data_((x.rows + kProductRows - 1) / kProductRows * kProductRows * depth_) {
    context.ParallelFor((x.rows + kProductRows - 1) / kProductRows, [&](size_t tile) {
      const size_t first = tile * kProductRows, rows = std::min(kProductRows, x.rows - first);
      const float* const from = x.data + first * depth_;
      float* const to = data_.data() + first * depth_;
      for (size_t k = 0; k < depth_; ++k) {
        for (size_t r = 0; r < rows; ++r) to[k * kProductRows + r] = from[r * depth_ + k];
      }
    });
  }

  // What begins with element k of a row that is a multiple of kProductRows.
  const float* At(size_t row, size_t k) const {
    return data_.data() + row * depth_ + k * kProductRows;
  }

 private:
  size_t depth_;
  Buffer data_;
};

}  // namespace

std::vector<float> PerChannel(const Tensor& given, size_t channels, float scale) {
  if (given.count != 1 && given.count != channels) {
    throw std::invalid_argument(given.name + " of shape " + ToString(given.shape) +
                                ", expected [1] or [" + std::to_string(channels) + "]");
  }
  const float* data = static_cast<const float*>(given.data);
  std::vector<float> values((channels + kGroup - 1) / kGroup * kGroup);
  for (size_t c = 0; c < channels; ++c) values[c] = data[given.count == 1 ? 0 : c] * scale;
  return values;
}

float* Scratch(size_t count) {
  thread_local std::unique_ptr<Buffer> buffer;
  thread_local size_t size = 0;
  if (size < count) {
    buffer = std::make_unique<Buffer>(count);
    size = count;
  }
  return buffer->data();
}

void GaussianMatMul(const Node& node, const Context& context) {
  const Tensor x = context.Input(0, "x"), w = context.Input(1, "w");
  const Matrix left(x), right(w);
  if (w.shape.size() != 2 || right.columns % kGroup != 0 || right.rows != left.columns) {
    throw std::invalid_argument("w of shape " + ToString(w.shape) + ", expected [" +
                                std::to_string(left.columns) + ", a multiple of 64]");
  }
  const size_t depth = right.rows, channels = right.columns;
  const Source source = SourceOf(node, context, 3);
  const std::vector<float> size =
      PerChannel(context.Input(2, "std"), channels, context.Scalar<float>(4, "scale"));
  const std::vector<float> bias = PerChannel(context.Input(5, "bias"), channels, 1);
  Shape shape = x.shape;
  shape.back() = w.shape[1];
  float* const y = static_cast<float*>(context.Output(shape));
  if (left.rows == 0) return;

  const Packed rows(context, left);
  context.ParallelFor(channels / kGroup, [&](size_t panel) {
    const size_t column = panel * kGroup;
    float* const drawn = Scratch(kDepth * kGroup);
    for (size_t k = 0; k < depth; k += kDepth) {
      const size_t block = std::min(kDepth, depth - k);
      const size_t begin = k * channels + column;
      node.kernels->gaussian_panel(
          source, {right.data + begin, channels, block, begin / kGroup, channels / kGroup},
          size.data() + column, drawn);
      for (size_t row = 0; row < left.rows; row += kProductRows) {
        float* const to = y + row * channels + column;
        const bool first = k == 0;
        node.kernels->multiply({std::min(kProductRows, left.rows - row), block, rows.At(row, k),
                                kProductRows, drawn, first ? bias.data() + column : to,
                                first ? 0 : channels, to, channels});
      }
    }
  });
}

void Factor(const Node& node, const Context& context, const float* x, size_t rows, size_t depth,
            float* u) {
  // Several tiles a task, so that they find x in the caches; the tasks become smaller from the top
  // to the bottom of the triangle.
  const size_t height = (rows / 8 / kGramRows + 1) * kGramRows;
  context.ParallelFor((rows + height - 1) / height, [&](size_t task) {
    const size_t first = task * height, last = std::min(first + height, rows);
    node.kernels->gram(x, rows, depth, first, last, u);
  });
  // Rounding of the sums behind the product leaves about this much of a row that depends on others.
  node.kernels->cholesky(u, rows, static_cast<float>(rows + 8) * FLT_EPSILON);
}

void GramFactor(const Node& node, const Context& context) {
  const Tensor input = context.Input(0, "x");
  const Matrix x(input);
  const int64_t rows = static_cast<int64_t>(x.rows);
  float* const u = static_cast<float*>(context.Output({rows, rows}));
  Factor(node, context, x.data, x.rows, x.columns, u);
}

void CorrelatedNoise(const Node& node, const Context& context) {
  const Tensor input = context.Input(0, "x"), u = context.Input(1, "U");
  const Matrix x(input), factor(u);
  if (u.shape.size() != 2 || factor.rows != x.rows || factor.columns != x.rows) {
    throw std::invalid_argument("U of shape " + ToString(u.shape) + ", expected [" +
                                std::to_string(x.rows) + ", " + std::to_string(x.rows) + "]");
  }
  const size_t rows = x.rows, panels = (x.columns + kGroup - 1) / kGroup;
  const Source source = SourceOf(node, context, 3);
  const std::vector<float> size =
      PerChannel(context.Input(2, "std"), x.columns, context.Scalar<float>(4, "scale"));
  float* const y = static_cast<float*>(context.OutputLike(input));
  context.ParallelFor(panels, [&](size_t panel) {
    const size_t column = panel * kGroup, columns = std::min(kGroup, x.columns - column);
    float* const drawn = Scratch((rows + kProductRows) * kGroup);
    float* const sums = drawn + rows * kGroup;  // of a tile that has fewer columns
    node.kernels->gaussian_panel(source, {kZeros, 0, rows, panel, panels}, size.data() + column,
                                 drawn);
    for (size_t row = 0; row < rows; row += kProductRows) {
      const size_t tile = std::min(kProductRows, rows - row), depth = row + tile;
      const size_t at = row * x.columns + column;
      const auto multiply = [&](const float* start, float* to, size_t stride) {
        node.kernels->multiply(
            {tile, depth, factor.data + row, rows, drawn, start, stride, to, stride});
      };
      if (columns == kGroup) {
        multiply(x.data + at, y + at, x.columns);
        continue;
      }
      for (size_t r = 0; r < tile; ++r)
        std::copy_n(x.data + at + r * x.columns, columns, sums + r * kGroup);
      multiply(sums, sums, kGroup);
      for (size_t r = 0; r < tile; ++r)
        std::copy_n(sums + r * kGroup, columns, y + at + r * x.columns);
    }
  });
}

}  // namespace nmtool
