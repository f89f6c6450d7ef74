// Launches the work of thread.h: on a GPU, or, where the host's compiler compiles this file
// (NMTOOL_CUDA=EMULATE), one thread after the other.
#include <type_traits>

#include "thread.h"

namespace nmtool::cuda {
namespace {

constexpr int kThreads = 256;  // of a block

#if defined(__CUDACC__)

template <class Numbers, class Use>
__global__ void __launch_bounds__(kThreads)
    Kernel(const Draws draws, uint64_t start, uint64_t end, const Use use, typename Use::Out* out) {
  Thread<Numbers>(draws, uint64_t{blockIdx.x} * kThreads + threadIdx.x, start, end, use, out);
}

Error Message(cudaError_t error) {
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

// Makes the GPU that owns `memory` the current one: a host's thread may have another.
class DeviceOf {
 public:
  explicit DeviceOf(const void* memory) {
    cudaPointerAttributes attributes;
    error_ = cudaPointerGetAttributes(&attributes, memory);
    if (error_ == cudaSuccess) error_ = cudaGetDevice(&previous_);
    if (error_ != cudaSuccess || attributes.type != cudaMemoryTypeDevice) return;
    changed_ = attributes.device != previous_;
    if (changed_) error_ = cudaSetDevice(attributes.device);
  }
  ~DeviceOf() {
    if (changed_) cudaSetDevice(previous_);
  }
  DeviceOf(const DeviceOf&) = delete;

  cudaError_t error() const { return error_; }

 private:
  cudaError_t error_;
  int previous_ = 0;
  bool changed_ = false;
};

template <class Numbers, class Use>
Error Launch(uint64_t blocks, void* stream, const Draws& draws, uint64_t start, uint64_t end,
             const Use& use, typename Use::Out* out) {
  const DeviceOf device(out);
  if (device.error() != cudaSuccess) return Message(device.error());
  Kernel<Numbers>
      <<<static_cast<unsigned>(blocks), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
          draws, start, end, use, out);
  return Message(cudaGetLastError());
}

#else

template <class Numbers, class Use>
Error Launch(uint64_t blocks, void*, const Draws& draws, uint64_t start, uint64_t end,
             const Use& use, typename Use::Out* out) {
  for (uint64_t thread = 0; thread < blocks * kThreads; ++thread) {
    Thread<Numbers>(draws, thread, start, end, use, out);
  }
  return nullptr;
}

#endif

template <class Numbers, class Use>
Error Run(const Drawn& drawn, uint64_t start, uint64_t count, const Use& use,
          typename Use::Out* out) {
  if (count == 0) return nullptr;
  const uint64_t end = start + count, blocks = (Counters(start, end) + kThreads - 1) / kThreads;
  return Launch<Numbers>(blocks, drawn.stream, Draws(drawn), start, end, use, out);
}

// Calls run(T()) for the element type T.
template <class Function>
Error WithType(abi::ElementType type, Function run) {
  switch (type) {
    case abi::kDouble:
      return run(double());
    case abi::kFloat16:
      return run(Float16());
    case abi::kBFloat16:
      return run(BFloat16());
    default:
      return run(float());
  }
}

}  // namespace

Error NotInAGraph(void* stream) {
#if defined(__CUDACC__)
  cudaStreamCaptureStatus status;
  const cudaError_t error = cudaStreamIsCapturing(static_cast<cudaStream_t>(stream), &status);
  if (error != cudaSuccess) return Message(error);
  if (status != cudaStreamCaptureStatusNone) {
    return "a CUDA graph would keep the trial and the scale of the run that it is made of";
  }
#else
  static_cast<void>(stream);
#endif
  return nullptr;
}

Error Usable() {
#if defined(__CUDACC__)
  cudaFuncAttributes attributes;
  return Message(cudaFuncGetAttributes(&attributes, Kernel<Normal, Itself<float>>));
#else
  return nullptr;
#endif
}

Error Words(const Drawn& drawn, uint64_t start, uint64_t count, uint32_t* out) {
  return Run<Word>(drawn, start, count, Itself<uint32_t>(), out);
}

Error Uniforms(const Drawn& drawn, uint64_t start, uint64_t count, float* out) {
  return Run<Uniform>(drawn, start, count, Itself<float>(), out);
}

Error Normals(const Drawn& drawn, uint64_t start, uint64_t count, float* out) {
  return Run<Normal>(drawn, start, count, Itself<float>(), out);
}

Error GaussianNoise(const Drawn& drawn, const Array& array, const Parameter& std, float scale) {
  return WithType(array.type, [&](auto zero) {
    using T = decltype(zero);
    const Gaussian<T> use{static_cast<const T*>(array.x), std, scale};
    return Run<Normal>(drawn, 0, array.count, use, static_cast<T*>(array.y));
  });
}

Error LognormalNoise(const Drawn& drawn, const Array& array, const Parameter& mean,
                     const Parameter& std, float scale) {
  return WithType(array.type, [&](auto zero) {
    using T = decltype(zero);
    const Lognormal<T> use{static_cast<const T*>(array.x), mean, std, scale};
    return Run<Normal>(drawn, 0, array.count, use, static_cast<T*>(array.y));
  });
}

Error StuckFaults(const Drawn& drawn, const Array& array, const float* probabilities,
                  const float* values, uint64_t faults, float scale) {
  return WithType(array.type, [&](auto zero) {
    using T = decltype(zero);
    const Stuck<T> use{static_cast<const T*>(array.x), probabilities, values, faults, scale};
    return Run<Uniform>(drawn, 0, array.count, use, static_cast<T*>(array.y));
  });
}

Error Copy(const void* from, size_t bytes, void* to, void* stream) {
  if (bytes == 0 || from == to) return nullptr;
#if defined(__CUDACC__)
  return Message(
      cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, static_cast<cudaStream_t>(stream)));
#else
  static_cast<void>(stream);
  memmove(to, from, bytes);
  return nullptr;
#endif
}

}  // namespace nmtool::cuda
