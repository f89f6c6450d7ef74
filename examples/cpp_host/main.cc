// Runs a noisy model from C++: registers the operators of nmtool, feeds ones, and prints how its
// first output begins for a few trials.
//
//     noisy_host model.onnx libnmtool_ops.so [trials]
#include <onnxruntime_c_api.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace {

// The oldest API that the operators need: a runtime refuses to serve one that is newer than itself.
const OrtApi* const api = OrtGetApiBase()->GetApi(17);

void Check(OrtStatus* status) {
  if (status == nullptr) return;
  std::fprintf(stderr, "%s\n", api->GetErrorMessage(status));
  std::exit(1);
}

// Calls create(arguments..., &handle) and owns the handle.
template <class T, class Create, class... Arguments>
std::unique_ptr<T, void (*)(T*)> Make(void (*release)(T*), Create create, Arguments... arguments) {
  T* handle = nullptr;
  Check(create(arguments..., &handle));
  return {handle, release};
}

using Value = std::unique_ptr<OrtValue, void (*)(OrtValue*)>;

template <class T>
Value Tensor(std::vector<T>& data, const std::vector<int64_t>& shape,
             ONNXTensorElementDataType type) {
  const auto memory =
      Make(api->ReleaseMemoryInfo, api->CreateCpuMemoryInfo, OrtArenaAllocator, OrtMemTypeDefault);
  return Make(api->ReleaseValue, api->CreateTensorWithDataAsOrtValue, memory.get(), data.data(),
              data.size() * sizeof(T), shape.data(), shape.size(), type);
}

// The shape of the session's first input; dimensions without a size become 1.
std::vector<int64_t> InputShape(const OrtSession* session) {
  const auto type = Make(api->ReleaseTypeInfo, api->SessionGetInputTypeInfo, session, size_t{0});
  const OrtTensorTypeAndShapeInfo* info = nullptr;
  Check(api->CastTypeInfoToTensorInfo(type.get(), &info));
  size_t rank = 0;
  Check(api->GetDimensionsCount(info, &rank));
  std::vector<int64_t> shape(rank);
  Check(api->GetDimensions(info, shape.data(), rank));
  for (int64_t& size : shape) size = std::max<int64_t>(size, 1);
  return shape;
}

using NameOf = decltype(api->SessionGetInputName);

std::string FirstName(NameOf name_of, const OrtSession* session) {
  OrtAllocator* allocator = nullptr;
  Check(api->GetAllocatorWithDefaultOptions(&allocator));
  char* name = nullptr;
  Check(name_of(session, 0, allocator, &name));
  const std::string copy = name;
  Check(api->AllocatorFree(allocator, name));
  return copy;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s model.onnx libnmtool_ops.so [trials]\n", argv[0]);
    return 2;
  }
  const int64_t trials = argc > 3 ? std::atoll(argv[3]) : 3;

  const auto environment =
      Make(api->ReleaseEnv, api->CreateEnv, ORT_LOGGING_LEVEL_WARNING, "noisy_host");
  const auto options = Make(api->ReleaseSessionOptions, api->CreateSessionOptions);
  // The one line that makes the noise fast: without it the model runs the operators' bodies in
  // standard ONNX.
  Check(api->RegisterCustomOpsLibrary_V2(options.get(), argv[2]));
  const auto session =
      Make(api->ReleaseSession, api->CreateSession, environment.get(), argv[1], options.get());

  const std::vector<int64_t> shape = InputShape(session.get());
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  std::vector<float> ones(count, 1.0f);
  const std::string input = FirstName(api->SessionGetInputName, session.get());
  const std::string output = FirstName(api->SessionGetOutputName, session.get());
  const Value x = Tensor(ones, shape, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);

  for (int64_t t = 0; t < trials; ++t) {
    // `inject` adds this input: same trial, same noise. It has a default, so feeding it is
    // optional.
    std::vector<int64_t> number = {t};
    const Value trial = Tensor(number, {}, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64);
    const char* names[] = {input.c_str(), "noise_trial"};
    const OrtValue* values[] = {x.get(), trial.get()};
    const char* output_name = output.c_str();
    OrtValue* y = nullptr;
    Check(api->Run(session.get(), nullptr, names, values, 2, &output_name, 1, &y));
    const Value owner(y, api->ReleaseValue);

    void* data = nullptr;
    Check(api->GetTensorMutableData(y, &data));
    const auto info = Make(api->ReleaseTensorTypeAndShapeInfo, api->GetTensorTypeAndShape, y);
    size_t elements = 0;
    Check(api->GetTensorShapeElementCount(info.get(), &elements));
    std::printf("trial %lld:", static_cast<long long>(t));
    for (size_t i = 0; i < std::min<size_t>(elements, 8); ++i) {
      std::printf(" %.9g", static_cast<const float*>(data)[i]);
    }
    std::printf("\n");
  }
}
