// The part of nmtool_ops.h that works without a model.
#include <algorithm>

#include "levels.h"
#include "nmtool_ops.h"
#include "ort_abi.h"

namespace nmtool {
namespace {

// Draws any range of elements. Kernels draw whole groups: those at the ends go through a buffer.
template <class Out>
int Draw(void (*Kernels::*draw)(const Source&, uint64_t, size_t, Out*), const char* level,
         const Source& source, uint64_t start, uint64_t count, Out* out) {
  const Kernels* kernels = FindLevel(level);
  if (kernels == nullptr) return 1;
  const auto kernel = kernels->*draw;
  while (count > 0) {
    const uint64_t skipped = start % kGroup, groups = count / kGroup;
    uint64_t drawn = groups * kGroup;
    if (skipped == 0 && groups > 0) {
      kernel(source, start / kGroup, groups, out);
    } else {
      Out group[kGroup];
      kernel(source, start / kGroup, 1, group);
      drawn = std::min(count, kGroup - skipped);
      std::copy_n(group + skipped, drawn, out);
    }
    start += drawn;
    count -= drawn;
    out += drawn;
  }
  return 0;
}

}  // namespace
}  // namespace nmtool

using nmtool::FindLevel;
using nmtool::Kernels;

const char* nmtool_version() { return NMTOOL_VERSION; }

uint32_t nmtool_ort_api_version() { return nmtool::abi::kApiVersion; }

const char* nmtool_simd_levels() { return nmtool::SupportedLevelNames().c_str(); }

int nmtool_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4],
                  const char* level) {
  const Kernels* kernels = FindLevel(level);
  if (kernels == nullptr) return 1;
  kernels->philox(counter, key, out);
  return 0;
}

int nmtool_box_muller(const uint32_t* words, size_t groups, float* out, const char* level) {
  const Kernels* kernels = FindLevel(level);
  if (kernels == nullptr) return 1;
  kernels->box_muller(words, groups, out);
  return 0;
}

int nmtool_words(uint32_t* out, uint64_t start, uint64_t count, int64_t seed, int64_t stream,
                 int64_t trial, int32_t draw, const char* level) {
  return nmtool::Draw(&Kernels::words, level, {seed, stream, trial, draw}, start, count, out);
}

int nmtool_uniforms(float* out, uint64_t start, uint64_t count, int64_t seed, int64_t stream,
                    int64_t trial, int32_t draw, const char* level) {
  return nmtool::Draw(&Kernels::uniforms, level, {seed, stream, trial, draw}, start, count, out);
}

int nmtool_normals(float* out, uint64_t start, uint64_t count, int64_t seed, int64_t stream,
                   int64_t trial, int32_t draw, const char* level) {
  return nmtool::Draw(&Kernels::normals, level, {seed, stream, trial, draw}, start, count, out);
}
