#include "context.h"

#include <functional>
#include <memory>
#include <numeric>

namespace nmtool {

std::string ToString(const Shape& shape) {
  std::string text;
  for (const int64_t size : shape) text += (text.empty() ? "" : ",") + std::to_string(size);
  return "[" + text + "]";
}

void Check(const OrtApi* api, OrtStatus* status) {
  if (status == nullptr) return;
  const std::string message = abi::kGetErrorMessage(api, status);
  abi::kReleaseStatus(api, status);
  throw std::runtime_error(message);
}

Shape ShapeOf(const OrtApi* api, const OrtTensorTypeAndShapeInfo* info) {
  size_t rank = 0;
  Check(api, abi::kGetDimensionsCount(api, info, &rank));
  Shape shape(rank);
  Check(api, abi::kGetDimensions(api, info, shape.data(), rank));
  return shape;
}

Tensor Context::Input(size_t index, const char* name) const {
  const OrtValue* value = nullptr;
  Check(api_, abi::kKernelContextGetInput(api_, context_, index, &value));
  if (value == nullptr) throw std::invalid_argument(std::string(name) + " is missing");

  OrtTensorTypeAndShapeInfo* raw_info = nullptr;
  Check(api_, abi::kGetTensorTypeAndShape(api_, value, &raw_info));
  const auto release = [this](OrtTensorTypeAndShapeInfo* info) {
    abi::kReleaseTensorTypeAndShapeInfo(api_, info);
  };
  const std::unique_ptr<OrtTensorTypeAndShapeInfo, decltype(release)> info(raw_info, release);

  Tensor tensor{name, abi::kUndefined, {}, 0, nullptr};
  Check(api_, abi::kGetTensorElementType(api_, info.get(), &tensor.type));
  tensor.shape = ShapeOf(api_, info.get());
  tensor.count =
      std::accumulate(tensor.shape.begin(), tensor.shape.end(), size_t{1}, std::multiplies<>());

  void* data = nullptr;
  Check(api_, abi::kGetTensorMutableData(api_, const_cast<OrtValue*>(value), &data));
  tensor.data = data;
  return tensor;
}

void* Context::Output(const Shape& shape) const {
  OrtValue* value = nullptr;
  Check(api_, abi::kKernelContextGetOutput(api_, context_, 0, shape.data(), shape.size(), &value));
  void* data = nullptr;
  Check(api_, abi::kGetTensorMutableData(api_, value, &data));
  return data;
}

void* Context::ComputeStream() const {
  void* stream = nullptr;
  Check(api_, abi::kKernelContextGetGpuComputeStream(api_, context_, &stream));
  return stream;
}

}  // namespace nmtool
