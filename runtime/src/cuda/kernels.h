// The GPU kernels as the host calls them. Each returns once the work is on the stream, null, or
// what went wrong.
#pragma once

#include "../broadcast.h"
#include "../kernels.h"
#include "ort_abi.h"

namespace nmtool::cuda {

using Error = const char*;

// Null if the current GPU can run the kernels.
Error Usable();

struct Drawn {
  Source source;
  const int64_t* trial;  // in the memory of the GPU, in place of the source's; or null
  void* stream;          // a cudaStream_t
};

// A Broadcast for a GPU. Its integers are divided by multiplication: reciprocal = floor(2^64 /
// size)
// + 1.
struct Parameter {
  static constexpr int kAxes = 8;
  struct Axis {
    uint64_t size, reciprocal, stride;
  };

  const float* data;
  int count;
  Axis axes[kAxes];  // innermost first

  // Throws if there are more than kAxes.
  explicit Parameter(const Broadcast& broadcast);
};

// Elements start <= e < start + count, as nmtool_ops.h has them.
Error Words(const Drawn& drawn, uint64_t start, uint64_t count, uint32_t* out);
Error Uniforms(const Drawn& drawn, uint64_t start, uint64_t count, float* out);
Error Normals(const Drawn& drawn, uint64_t start, uint64_t count, float* out);

// The primitives on the elements of an array; y may be x, or must not overlap it. Other arrays are
// in the memory of the GPU too.
struct Array {
  abi::ElementType type;
  const void* x;
  uint64_t count;
  void* y;
};
Error GaussianNoise(const Drawn& drawn, const Array& array, const Parameter& std, float scale);
Error LognormalNoise(const Drawn& drawn, const Array& array, const Parameter& mean,
                     const Parameter& std, float scale);
Error StuckFaults(const Drawn& drawn, const Array& array, const float* probabilities,
                  const float* values, uint64_t faults, float scale);

// Null unless the stream records a CUDA graph: a replay would repeat what the host gave, the trial
// above all.
Error NotInAGraph(void* stream);

Error Copy(const void* from, size_t bytes, void* to, void* stream);

}  // namespace nmtool::cuda
