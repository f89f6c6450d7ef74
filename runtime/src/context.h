// One call of a kernel as C++ sees it: inputs, outputs and threads over the C ABI. Errors are
// exceptions here, and become an OrtStatus where the runtime called us (Guard); no exception
// crosses that boundary.
#pragma once

#include <exception>
#include <stdexcept>
#include <string>

#include "broadcast.h"
#include "ort_abi.h"

namespace nmtool {

struct Tensor {
  std::string name;
  abi::ElementType type;
  Shape shape;
  size_t count;
  const void* data;
};

std::string ToString(const Shape& shape);

// Throws the message of a failed call.
void Check(const OrtApi* api, OrtStatus* status);

Shape ShapeOf(const OrtApi* api, const OrtTensorTypeAndShapeInfo* info);

class Context {
 public:
  Context(const OrtApi* api, OrtKernelContext* context) : api_(api), context_(context) {}

  // `name` is what error messages call the input.
  Tensor Input(size_t index, const char* name) const;

  // The value of an input that has one element.
  template <class T>
  T Scalar(size_t index, const char* name) const {
    const Tensor tensor = Input(index, name);
    if (tensor.count == 1) return *static_cast<const T*>(tensor.data);
    throw std::invalid_argument(tensor.name + " has shape " + ToString(tensor.shape) +
                                ", expected one element");
  }

  // Output 0, of this shape.
  void* Output(const Shape& shape) const;
  void* OutputLike(const Tensor& like) const { return Output(like.shape); }

  // The CUDA stream to work on, for a kernel of the CUDA provider.
  void* ComputeStream() const;

  // Calls task(i) for 0 <= i < count on the threads of the session. The task must not throw.
  template <class Task>
  void ParallelFor(size_t count, Task task) const {
    if (count == 0) return;
    if (count == 1) return task(0);
    const auto call = [](void* data, size_t i) { (*static_cast<Task*>(data))(i); };
    Check(api_, abi::kKernelContextParallelFor(api_, context_, call, count, 0, &task));
  }

 private:
  const OrtApi* api_;
  OrtKernelContext* context_;
};

// Runs `function`, turning any exception into a status that begins with `where`.
template <class Function>
OrtStatus* Guard(const OrtApi* api, const char* where, Function function) noexcept {
  try {
    function();
    return nullptr;
  } catch (const std::exception& error) {
    return abi::kCreateStatus(api, abi::kFail, (std::string(where) + ": " + error.what()).c_str());
  } catch (...) {
    return abi::kCreateStatus(api, abi::kFail, where);
  }
}

}  // namespace nmtool
