// The part of the ONNX Runtime C ABI that this library uses, so that building it needs no ONNX
// Runtime headers.
//
// OrtApi is an append-only table of function pointers (the ABI promise of onnxruntime_c_api.h): an
// entry keeps its index for ever, so an index and a signature are all there is to know.
// ort_abi_check.cc compares every number here with the official header.
#pragma once

#include <cstddef>
#include <cstdint>

struct OrtApi;
struct OrtCustomOpDomain;
struct OrtKernelContext;
struct OrtKernelInfo;
struct OrtSessionOptions;
struct OrtShapeInferContext;
struct OrtStatus;
struct OrtTensorTypeAndShapeInfo;
struct OrtValue;

namespace nmtool::abi {

// The lowest version with all that is used here; 17 brings KernelContext_ParallelFor. A runtime
// refuses a version newer than itself, so asking for more than needed would only shut out old
// runtimes.
inline constexpr uint32_t kApiVersion = 17;

inline constexpr int kFail = 1;      // OrtErrorCode ORT_FAIL
inline constexpr int kRequired = 0;  // OrtCustomOpInputOutputCharacteristic INPUT_OUTPUT_REQUIRED
inline constexpr int kDefaultMemory = 0;  // OrtMemTypeDefault
inline constexpr int kCpuInput = -2;      // OrtMemTypeCPUInput

// ONNXTensorElementDataType, which has the numbers of onnx.TensorProto.DataType.
using ElementType = int;
inline constexpr ElementType kUndefined = 0, kFloat = 1, kInt64 = 7, kFloat16 = 10, kDouble = 11,
                             kBFloat16 = 16;

template <class Signature>
struct Entry;

// One entry of the table: its index, and how to call it.
template <class Result, class... Arguments>
struct Entry<Result(Arguments...)> {
  size_t index;

  Result operator()(const OrtApi* api, Arguments... arguments) const {
    using Function = Result (*)(Arguments...);
    return reinterpret_cast<const Function*>(api)[index](arguments...);
  }
};

inline constexpr Entry<OrtStatus*(int code, const char* message)> kCreateStatus{0};
inline constexpr Entry<const char*(const OrtStatus*)> kGetErrorMessage{2};
inline constexpr Entry<OrtStatus*(const char* name, OrtCustomOpDomain**)> kCreateCustomOpDomain{26};
inline constexpr Entry<OrtStatus*(OrtCustomOpDomain*, const struct CustomOp*)> kCustomOpDomainAdd{
    27};
inline constexpr Entry<OrtStatus*(OrtSessionOptions*, OrtCustomOpDomain*)> kAddCustomOpDomain{28};
inline constexpr Entry<OrtStatus*(OrtValue*, void**)> kGetTensorMutableData{51};
inline constexpr Entry<OrtStatus*(const OrtTensorTypeAndShapeInfo*, ElementType*)>
    kGetTensorElementType{60};
inline constexpr Entry<OrtStatus*(const OrtTensorTypeAndShapeInfo*, size_t*)> kGetDimensionsCount{
    61};
inline constexpr Entry<OrtStatus*(const OrtTensorTypeAndShapeInfo*, int64_t*, size_t)>
    kGetDimensions{62};
inline constexpr Entry<OrtStatus*(const OrtTensorTypeAndShapeInfo*, const char**, size_t)>
    kGetSymbolicDimensions{63};
inline constexpr Entry<OrtStatus*(const OrtValue*, OrtTensorTypeAndShapeInfo**)>
    kGetTensorTypeAndShape{65};
inline constexpr Entry<OrtStatus*(const OrtKernelInfo*, const char*, int64_t*)>
    kKernelInfoGetAttributeInt64{86};
inline constexpr Entry<OrtStatus*(const OrtKernelContext*, size_t, const OrtValue**)>
    kKernelContextGetInput{90};
inline constexpr Entry<OrtStatus*(OrtKernelContext*, size_t, const int64_t*, size_t, OrtValue**)>
    kKernelContextGetOutput{91};
inline constexpr Entry<void(OrtStatus*)> kReleaseStatus{93};
inline constexpr Entry<void(OrtTensorTypeAndShapeInfo*)> kReleaseTensorTypeAndShapeInfo{99};
inline constexpr Entry<OrtStatus*(const OrtKernelContext*, void**)>
    kKernelContextGetGpuComputeStream{193};
inline constexpr Entry<OrtStatus*(const OrtShapeInferContext*, size_t, OrtTensorTypeAndShapeInfo**)>
    kShapeInferContextGetInputTypeShape{268};
inline constexpr Entry<OrtStatus*(const OrtShapeInferContext*, size_t,
                                  const OrtTensorTypeAndShapeInfo*)>
    kShapeInferContextSetOutputTypeShape{270};
inline constexpr Entry<OrtStatus*(const OrtKernelContext*, void (*)(void*, size_t), size_t, size_t,
                                  void*)>
    kKernelContextParallelFor{274};

// OrtCustomOp as of version 17: later runtimes read no further when `version` says so. Unused
// callbacks stay null.
struct CustomOp {
  uint32_t version = kApiVersion;
  void* (*CreateKernel)(const CustomOp*, const OrtApi*, const OrtKernelInfo*) = nullptr;
  const char* (*GetName)(const CustomOp*) = nullptr;
  const char* (*GetExecutionProviderType)(const CustomOp*) = nullptr;
  ElementType (*GetInputType)(const CustomOp*, size_t) = nullptr;
  size_t (*GetInputTypeCount)(const CustomOp*) = nullptr;
  ElementType (*GetOutputType)(const CustomOp*, size_t) = nullptr;
  size_t (*GetOutputTypeCount)(const CustomOp*) = nullptr;
  void (*KernelCompute)(void*, OrtKernelContext*) = nullptr;
  void (*KernelDestroy)(void*) = nullptr;
  int (*GetInputCharacteristic)(const CustomOp*, size_t) = nullptr;
  int (*GetOutputCharacteristic)(const CustomOp*, size_t) = nullptr;
  int (*GetInputMemoryType)(const CustomOp*, size_t) = nullptr;
  int (*GetVariadicInputMinArity)(const CustomOp*) = nullptr;
  int (*GetVariadicInputHomogeneity)(const CustomOp*) = nullptr;
  int (*GetVariadicOutputMinArity)(const CustomOp*) = nullptr;
  int (*GetVariadicOutputHomogeneity)(const CustomOp*) = nullptr;
  OrtStatus* (*CreateKernelV2)(const CustomOp*, const OrtApi*, const OrtKernelInfo*,
                               void**) = nullptr;
  OrtStatus* (*KernelComputeV2)(void*, OrtKernelContext*) = nullptr;
  OrtStatus* (*InferOutputShapeFn)(const CustomOp*, OrtShapeInferContext*) = nullptr;
  int (*GetStartVersion)(const CustomOp*) = nullptr;
  int (*GetEndVersion)(const CustomOp*) = nullptr;
};

}  // namespace nmtool::abi

struct OrtApiBase {
  const OrtApi* (*GetApi)(uint32_t version);
  const char* (*GetVersionString)();
};
