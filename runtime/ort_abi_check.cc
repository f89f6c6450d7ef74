// Compares ort_abi.h with the official header. Compiled only with -DNMTOOL_ORT_INCLUDE=<dir>; it
// has no code.
//
// The official header comes first and under another name for the one type that both define.
#define OrtApiBase OfficialOrtApiBase
#include <onnxruntime_c_api.h>
#undef OrtApiBase

#include "ort_abi.h"

namespace nmtool::abi {

#define NMTOOL_CHECK_ENTRY(entry, member) \
  static_assert(offsetof(OrtApi, member) == (entry).index * sizeof(void*), "index of " #member)

NMTOOL_CHECK_ENTRY(kCreateStatus, CreateStatus);
NMTOOL_CHECK_ENTRY(kGetErrorMessage, GetErrorMessage);
NMTOOL_CHECK_ENTRY(kCreateCustomOpDomain, CreateCustomOpDomain);
NMTOOL_CHECK_ENTRY(kCustomOpDomainAdd, CustomOpDomain_Add);
NMTOOL_CHECK_ENTRY(kAddCustomOpDomain, AddCustomOpDomain);
NMTOOL_CHECK_ENTRY(kGetTensorMutableData, GetTensorMutableData);
NMTOOL_CHECK_ENTRY(kGetTensorElementType, GetTensorElementType);
NMTOOL_CHECK_ENTRY(kGetDimensionsCount, GetDimensionsCount);
NMTOOL_CHECK_ENTRY(kGetDimensions, GetDimensions);
NMTOOL_CHECK_ENTRY(kGetSymbolicDimensions, GetSymbolicDimensions);
NMTOOL_CHECK_ENTRY(kGetTensorTypeAndShape, GetTensorTypeAndShape);
NMTOOL_CHECK_ENTRY(kKernelInfoGetAttributeInt64, KernelInfoGetAttribute_int64);
NMTOOL_CHECK_ENTRY(kKernelContextGetInput, KernelContext_GetInput);
NMTOOL_CHECK_ENTRY(kKernelContextGetOutput, KernelContext_GetOutput);
NMTOOL_CHECK_ENTRY(kReleaseStatus, ReleaseStatus);
NMTOOL_CHECK_ENTRY(kReleaseTensorTypeAndShapeInfo, ReleaseTensorTypeAndShapeInfo);
NMTOOL_CHECK_ENTRY(kKernelContextGetGpuComputeStream, KernelContext_GetGPUComputeStream);
NMTOOL_CHECK_ENTRY(kShapeInferContextGetInputTypeShape, ShapeInferContext_GetInputTypeShape);
NMTOOL_CHECK_ENTRY(kShapeInferContextSetOutputTypeShape, ShapeInferContext_SetOutputTypeShape);
NMTOOL_CHECK_ENTRY(kKernelContextParallelFor, KernelContext_ParallelFor);

#define NMTOOL_CHECK_FIELD(official, ours, member) \
  static_assert(offsetof(official, member) == offsetof(ours, member), #official "." #member)

NMTOOL_CHECK_FIELD(OfficialOrtApiBase, OrtApiBase, GetApi);
NMTOOL_CHECK_FIELD(OfficialOrtApiBase, OrtApiBase, GetVersionString);

#define NMTOOL_CHECK_CALLBACK(member) NMTOOL_CHECK_FIELD(::OrtCustomOp, CustomOp, member)

NMTOOL_CHECK_CALLBACK(version);
NMTOOL_CHECK_CALLBACK(CreateKernel);
NMTOOL_CHECK_CALLBACK(GetName);
NMTOOL_CHECK_CALLBACK(GetExecutionProviderType);
NMTOOL_CHECK_CALLBACK(GetInputType);
NMTOOL_CHECK_CALLBACK(GetInputTypeCount);
NMTOOL_CHECK_CALLBACK(GetOutputType);
NMTOOL_CHECK_CALLBACK(GetOutputTypeCount);
NMTOOL_CHECK_CALLBACK(KernelCompute);
NMTOOL_CHECK_CALLBACK(KernelDestroy);
NMTOOL_CHECK_CALLBACK(GetInputCharacteristic);
NMTOOL_CHECK_CALLBACK(GetOutputCharacteristic);
NMTOOL_CHECK_CALLBACK(GetInputMemoryType);
NMTOOL_CHECK_CALLBACK(GetVariadicInputMinArity);
NMTOOL_CHECK_CALLBACK(GetVariadicInputHomogeneity);
NMTOOL_CHECK_CALLBACK(GetVariadicOutputMinArity);
NMTOOL_CHECK_CALLBACK(GetVariadicOutputHomogeneity);
NMTOOL_CHECK_CALLBACK(CreateKernelV2);
NMTOOL_CHECK_CALLBACK(KernelComputeV2);
NMTOOL_CHECK_CALLBACK(InferOutputShapeFn);
NMTOOL_CHECK_CALLBACK(GetStartVersion);
NMTOOL_CHECK_CALLBACK(GetEndVersion);

static_assert(kApiVersion <= ORT_API_VERSION);
static_assert(kFail == ORT_FAIL);
static_assert(kRequired == INPUT_OUTPUT_REQUIRED);
static_assert(kDefaultMemory == OrtMemTypeDefault);
static_assert(kCpuInput == OrtMemTypeCPUInput);
static_assert(kUndefined == ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED);
static_assert(kFloat == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
static_assert(kInt64 == ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64);
static_assert(kFloat16 == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16);
static_assert(kDouble == ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE);
static_assert(kBFloat16 == ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16);
static_assert(sizeof(ElementType) == sizeof(ONNXTensorElementDataType));

}  // namespace nmtool::abi
