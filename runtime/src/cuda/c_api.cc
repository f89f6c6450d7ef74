// The part of nmtool_ops.h that draws on a GPU; where the library is built without CUDA, it says
// so.
#include "kernels.h"
#include "nmtool_ops.h"

#if !defined(NMTOOL_CUDA)
#define NMTOOL_CUDA ""

namespace nmtool::cuda {

constexpr Error kMissing = "nmtool was built without CUDA";

Error Usable() { return kMissing; }
Error Words(const Drawn&, uint64_t, uint64_t, uint32_t*) { return kMissing; }
Error Uniforms(const Drawn&, uint64_t, uint64_t, float*) { return kMissing; }
Error Normals(const Drawn&, uint64_t, uint64_t, float*) { return kMissing; }

}  // namespace nmtool::cuda
#endif

const char* nmtool_cuda_architectures() { return NMTOOL_CUDA; }

const char* nmtool_cuda_error() { return nmtool::cuda::Usable(); }

const char* nmtool_cuda_words(uint32_t* out, uint64_t start, uint64_t count, int64_t seed,
                              int64_t stream, const int64_t* trial, int32_t draw,
                              void* cuda_stream) {
  return nmtool::cuda::Words({{seed, stream, 0, draw}, trial, cuda_stream}, start, count, out);
}

const char* nmtool_cuda_uniforms(float* out, uint64_t start, uint64_t count, int64_t seed,
                                 int64_t stream, const int64_t* trial, int32_t draw,
                                 void* cuda_stream) {
  return nmtool::cuda::Uniforms({{seed, stream, 0, draw}, trial, cuda_stream}, start, count, out);
}

const char* nmtool_cuda_normals(float* out, uint64_t start, uint64_t count, int64_t seed,
                                int64_t stream, const int64_t* trial, int32_t draw,
                                void* cuda_stream) {
  return nmtool::cuda::Normals({{seed, stream, 0, draw}, trial, cuda_stream}, start, count, out);
}
