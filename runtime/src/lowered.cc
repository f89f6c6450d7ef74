#include "lowered.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

namespace nmtool {
namespace {

constexpr size_t kColumns = 512;  // of a channel that are drawn at a time, at least: they fit an L2
constexpr size_t kChannels = 16;  // of the largest block

// Where the weights of a convolution are: original [channels, inputs, positions]; stored as
// [channels / block, inputs / inner, positions, inner, block], padded with zeros to whole blocks. A
// column is what all channels have at one input and position, a line what those of a block have.
struct BlockedLayout {
  size_t channels, inputs, positions, block, inner;

  BlockedLayout(const BlockedWeights& weights, const Tensor& x)
      : channels(static_cast<size_t>(weights.channels)),
        inputs(static_cast<size_t>(weights.inputs)),
        positions(1),
        block(static_cast<size_t>(weights.block)),
        inner(static_cast<size_t>(weights.inner)) {
    for (size_t d = 2; d < x.shape.size(); ++d) positions *= static_cast<size_t>(x.shape[d]);
    const bool fits = x.type == abi::kFloat && x.shape.size() > 2 && channels > 0 && inputs > 0 &&
                      (block == kChannels / 2 || block == kChannels) &&
                      (inner == 1 || inner == block) &&
                      x.shape[0] == static_cast<int64_t>(Blocks() * block) &&
                      x.shape[1] == static_cast<int64_t>(Turns() * inner);
    if (!fits) {
      throw std::invalid_argument(
          "x of shape " + ToString(x.shape) +
          ", expected float32 weights that are blocked as the attributes say");
    }
  }

  size_t Blocks() const { return (channels + block - 1) / block; }
  size_t Turns() const { return (inputs + inner - 1) / inner; }
  size_t Columns() const { return inputs * positions; }  // and elements of a channel
  size_t Turn() const { return inner * positions; }      // columns whose lines follow each other
};

// How many turns to draw at a time, so that they begin with a whole group in every channel if they
// can.
size_t TurnsOfChunk(const BlockedLayout& layout) {
  const size_t whole = kGroup / std::gcd(layout.Turn(), kGroup);
  return (kColumns / (whole * layout.Turn()) + 1) * whole;
}

// Draws elements [start, start + count) into whole groups at `out`; returns where the first one is.
size_t DrawRange(const Node& node, const Source& source, size_t start, size_t count,
                 const Ahead& ahead, float* out) {
  const size_t first = start / kGroup, last = (start + count + kGroup - 1) / kGroup;
  node.kernels->normals_ahead(source, first, last - first, out, ahead);
  return start % kGroup;
}

// The noise of the lines of turns [first, last) of one block of channels.
void DrawTurns(const Node& node, const Source& source, const BlockedLayout& layout, size_t block,
               size_t first, size_t last, const float* x, const float* std, float scale, float* y) {
  const size_t turn = layout.Turn(), lines = (last - first) * turn;
  const size_t column = first * turn, columns = std::min(lines, layout.Columns() - column);
  const size_t channel = block * layout.block;
  const size_t channels = std::min(layout.block, layout.channels - channel);
  const size_t room = columns + 2 * kGroup;  // for the draws of a channel, in whole groups
  thread_local std::vector<float> draws;
  draws.resize(kChannels * room + kAhead);

  const size_t offset = (block * layout.Turns() * turn + first * turn) * layout.block;
  const auto ahead = [&](size_t channel) {
    const size_t at = offset + channel * lines;
    return Ahead{reinterpret_cast<const char*>(x + at), reinterpret_cast<const char*>(y + at)};
  };
  size_t rows[kChannels];
  if (columns == layout.Columns()) {  // all of the channels, which follow each other
    const size_t start =
        DrawRange(node, source, channel * columns, channels * columns, ahead(0), draws.data());
    for (size_t r = 0; r < channels; ++r) rows[r] = start + r * columns;
  } else {
    for (size_t r = 0; r < channels; ++r) {
      const size_t start = (channel + r) * layout.Columns() + column;
      rows[r] =
          r * room + DrawRange(node, source, start, columns, ahead(r), draws.data() + r * room);
    }
  }
  std::fill(rows + channels, rows + kChannels, rows[0]);  // padding, whose std is 0

  node.kernels->gaussian_block({layout.block, columns, lines, layout.inner, layout.positions},
                               x + offset, std + channel, scale, draws.data(), rows, y + offset);
}

// Where the line of each column begins, from the begin of its block.
std::vector<uint32_t> LinesOf(const BlockedLayout& layout) {
  std::vector<uint32_t> lines;
  lines.reserve(layout.Columns() + kGroup);
  for (size_t input = 0; input < layout.inputs; ++input) {
    const size_t start = input / layout.inner * layout.Turn() + input % layout.inner;
    for (size_t position = 0; position < layout.positions; ++position)
      lines.push_back(static_cast<uint32_t>((start + position * layout.inner) * layout.block));
  }
  lines.resize(layout.Columns() + kGroup);  // what is fetched ahead
  return lines;
}

// Where every channel begins a group, and no line is padding, lines are drawn one by one.
void DrawLines(const Node& node, const Context& context, const Source& source,
               const BlockedLayout& layout, const float* x, const float* std, float scale,
               float* y) {
  constexpr size_t kGroups = 16;  // of a task
  const std::vector<uint32_t> lines = LinesOf(layout);
  const size_t groups = layout.Columns() / kGroup, total = layout.Blocks() * groups;
  context.ParallelFor((total + kGroups - 1) / kGroups, [&](size_t task) {
    const size_t end = std::min((task + 1) * kGroups, total);
    for (size_t at = task * kGroups, count; at < end; at += count) {
      const size_t block = at / groups, first = at % groups, channel = block * layout.block;
      count = std::min(groups - first, end - at);
      const size_t offset = channel * layout.Columns();
      node.kernels->gaussian_lines(
          source,
          {layout.block, channel * groups + first, groups, count, lines.data() + first * kGroup},
          x + offset, std + channel, scale, y + offset);
    }
  });
}

}  // namespace

void BlockedGaussianNoise(const Node& node, const Context& context) {
  const Tensor x = context.Input(0, "x"), std = context.Input(1, "std");
  const BlockedLayout layout(node.blocked, x);
  const Source source = SourceOf(node, context, 2);
  const float scale = context.Scalar<float>(3, "scale");
  if (std.count != 1 && std.count != layout.channels) {
    throw std::invalid_argument("std of shape " + ToString(std.shape) + ", expected [1] or [" +
                                std::to_string(layout.channels) + "]");
  }
  const float* const from = static_cast<const float*>(x.data);
  float* const y = static_cast<float*>(context.OutputLike(x));
  if (scale == 0) {
    std::memcpy(y, from, x.count * sizeof(float));
    return;
  }
  const float* const given = static_cast<const float*>(std.data);
  std::vector<float> stds(layout.Blocks() * layout.block, 0.0f);
  for (size_t r = 0; r < layout.channels; ++r) stds[r] = given[std.count == 1 ? 0 : r];

  if (layout.Columns() % kGroup == 0 && layout.inputs % layout.inner == 0)
    return DrawLines(node, context, source, layout, from, stds.data(), scale, y);
  const size_t turns = TurnsOfChunk(layout);
  const size_t chunks = (layout.Turns() + turns - 1) / turns;
  context.ParallelFor(layout.Blocks() * chunks, [&](size_t task) {
    const size_t first = task % chunks * turns, last = std::min(first + turns, layout.Turns());
    DrawTurns(node, source, layout, task / chunks, first, last, from, stds.data(), scale, y);
  });
}

}  // namespace nmtool
