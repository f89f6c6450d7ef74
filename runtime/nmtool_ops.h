/* The C interface of libnmtool_ops: everything the library exports.
 *
 * A host needs RegisterCustomOps only, and even that by name: OrtApi::RegisterCustomOpsLibrary_V2,
 * or SessionOptions.register_custom_ops_library in Python. The rest is for tests and benchmarks:
 * the generator of docs/noise-spec.md without a model around it.
 */
#ifndef NMTOOL_OPS_H_
#define NMTOOL_OPS_H_

#include <stddef.h>
#include <stdint.h>

#ifdef _WIN32
#define NMTOOL_EXPORT __declspec(dllexport)
#else
#define NMTOOL_EXPORT __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

struct OrtApiBase;
struct OrtSessionOptions;
struct OrtStatus;

/* Registers GaussianNoise, LognormalNoise and StuckFaults of domain `nmtool`. The environment
 * variable NMTOOL_SIMD chooses a SIMD level (portable, avx2, avx512); unset, the fastest one of
 * this CPU is used. The result is never affected. */
NMTOOL_EXPORT struct OrtStatus* RegisterCustomOps(struct OrtSessionOptions* options,
                                                  const struct OrtApiBase* base);

/* Version of nmtool, such as "0.1.0". */
NMTOOL_EXPORT const char* nmtool_version(void);

/* Version of the ONNX Runtime C API asked for: 17 loads on 1.17 and newer. */
NMTOOL_EXPORT uint32_t nmtool_ort_api_version(void);

/* SIMD levels of this CPU, slowest first, such as "portable,avx2,avx512". */
NMTOOL_EXPORT const char* nmtool_simd_levels(void);

/* Each of the following returns 0, or 1 if `level` is not one of nmtool_simd_levels(). */

/* The four random words of one counter. */
NMTOOL_EXPORT int nmtool_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4],
                                const char* level);

/* The normals of given random words, whole groups of 64 in the layout of the specification. */
NMTOOL_EXPORT int nmtool_box_muller(const uint32_t* words, size_t groups, float* out,
                                    const char* level);

/* The words, uniforms or normals of elements start <= e < start + count. */
NMTOOL_EXPORT int nmtool_words(uint32_t* out, uint64_t start, uint64_t count, int64_t seed,
                               int64_t stream, int64_t trial, int32_t draw, const char* level);
NMTOOL_EXPORT int nmtool_uniforms(float* out, uint64_t start, uint64_t count, int64_t seed,
                                  int64_t stream, int64_t trial, int32_t draw, const char* level);
NMTOOL_EXPORT int nmtool_normals(float* out, uint64_t start, uint64_t count, int64_t seed,
                                 int64_t stream, int64_t trial, int32_t draw, const char* level);

/* The GPU code in the library, such as "75-virtual,80-real,90-real" (CMake's CUDA_ARCHITECTURES);
 * empty where it was built without CUDA, and then no GPU kernels are registered either. */
NMTOOL_EXPORT const char* nmtool_cuda_architectures(void);

/* Null if the current GPU can run them, or why not. */
NMTOOL_EXPORT const char* nmtool_cuda_error(void);

/* The same on a GPU, equal bit for bit: `out` and the one number at `trial` are in the memory of a
 * GPU, and the work is put on `cuda_stream` (a cudaStream_t; null is the default stream). Each
 * returns null, or what went wrong. */
NMTOOL_EXPORT const char* nmtool_cuda_words(uint32_t* out, uint64_t start, uint64_t count,
                                            int64_t seed, int64_t stream, const int64_t* trial,
                                            int32_t draw, void* cuda_stream);
NMTOOL_EXPORT const char* nmtool_cuda_uniforms(float* out, uint64_t start, uint64_t count,
                                               int64_t seed, int64_t stream, const int64_t* trial,
                                               int32_t draw, void* cuda_stream);
NMTOOL_EXPORT const char* nmtool_cuda_normals(float* out, uint64_t start, uint64_t count,
                                              int64_t seed, int64_t stream, const int64_t* trial,
                                              int32_t draw, void* cuda_stream);

#ifdef __cplusplus
}
#endif

#endif /* NMTOOL_OPS_H_ */
