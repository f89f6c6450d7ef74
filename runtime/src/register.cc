// RegisterCustomOps, which a host finds by name, and the table of operators it registers.
#include <map>
#include <mutex>

#include "cuda/ops.h"
#include "levels.h"
#include "lowered.h"
#include "nmtool_ops.h"
#include "ops.h"

namespace nmtool {
namespace {

struct Op : abi::CustomOp {
  using Compute = void (*)(const Node&, const Context&);

  const char* name;
  std::vector<abi::ElementType> inputs;  // where it draws, the last two are the trial and the scale
  Compute compute;
  const char* provider;  // null is the CPU
  bool draws;

  const OrtApi* api;

  Op(const char* name, std::vector<abi::ElementType> inputs, Compute compute, const char* provider,
     const OrtApi* api);
};

// A node of the graph, with the operator it calls.
struct Instance {
  const Op* op;
  Node node;
};

const Op& Of(const abi::CustomOp* op) { return *static_cast<const Op*>(op); }

int64_t Attribute(const OrtApi* api, const OrtKernelInfo* info, const char* name) {
  int64_t value = 0;
  Check(api, abi::kKernelInfoGetAttributeInt64(api, info, name, &value));
  return value;
}

int64_t AttributeOr(const OrtApi* api, const OrtKernelInfo* info, const char* name,
                    int64_t fallback) {
  OrtStatus* status = abi::kKernelInfoGetAttributeInt64(api, info, name, &fallback);
  if (status != nullptr) abi::kReleaseStatus(api, status);
  return fallback;
}

void CheckRange(const char* name, int64_t value, int bits) {
  if (value >= 0 && value < int64_t{1} << bits) return;
  throw std::invalid_argument(std::string(name) + " is " + std::to_string(value) +
                              ", expected 0 <= " + name + " < 2^" + std::to_string(bits));
}

OrtStatus* CreateInstance(const abi::CustomOp* op, const OrtApi* api, const OrtKernelInfo* info,
                          void** instance) {
  return Guard(api, Of(op).name, [&] {
    const auto required = [&](const char* name) {
      return Of(op).draws ? Attribute(api, info, name) : 0;
    };
    const auto optional = [&](const char* name) { return AttributeOr(api, info, name, 0); };
    const Node node{
        api,
        &ActiveLevel(),
        required("seed"),
        required("stream"),
        optional("draw"),
        {optional("channels"), optional("inputs"), optional("block"), optional("inner")},
        {{optional("kernel_0"), optional("kernel_1")},
         {optional("stride_0"), optional("stride_1")},
         {optional("dilation_0"), optional("dilation_1")},
         {optional("begin_0"), optional("begin_1")},
         {optional("end_0"), optional("end_1")}}};
    CheckRange("stream", node.stream, 56);
    CheckRange("draw", node.draw, 8);
    if (node.blocked.block % static_cast<int64_t>(node.kernels->lanes) != 0) {
      throw std::invalid_argument("blocks of " + std::to_string(node.blocked.block) +
                                  " channels are none of " + node.kernels->level);
    }
    *instance = new Instance{&Of(op), node};
  });
}

OrtStatus* ComputeInstance(void* kernel, OrtKernelContext* context) {
  const Instance& instance = *static_cast<const Instance*>(kernel);
  const OrtApi* api = instance.node.api;
  return Guard(api, instance.op->name,
               [&] { instance.op->compute(instance.node, Context(api, context)); });
}

// y has the shape of x. Said only where every dimension has a size or a name: an unknown rank looks
// like a scalar here, and the runtime would take an unknown dimension for one of size -1.
OrtStatus* InferShape(const abi::CustomOp* op, OrtShapeInferContext* context) {
  const OrtApi* api = Of(op).api;
  return Guard(api, Of(op).name, [&] {
    OrtTensorTypeAndShapeInfo* x = nullptr;  // stays the property of the context
    Check(api, abi::kShapeInferContextGetInputTypeShape(api, context, 0, &x));
    const Shape shape = ShapeOf(api, x);
    std::vector<const char*> names(shape.size(), "");
    Check(api, abi::kGetSymbolicDimensions(api, x, names.data(), names.size()));
    for (size_t d = 0; d < shape.size(); ++d) {
      if (shape[d] < 0 && *names[d] == '\0') return;
    }
    if (shape.empty()) return;
    Check(api, abi::kShapeInferContextSetOutputTypeShape(api, context, 0, x));
  });
}

// x, and with it y, is declared without a type: the runtime then takes the type of y from x, and
// the kernel looks at it when it runs. One operator per element type would need a schema that
// merges them, which old runtimes do not have. The operators of lowered models whose x is float32
// are those with a y of another shape.
Op::Op(const char* name, std::vector<abi::ElementType> inputs, Compute compute,
       const char* provider, const OrtApi* api)
    : name(name),
      inputs(std::move(inputs)),
      compute(compute),
      provider(provider),
      draws(this->inputs.size() > 1),
      api(api) {
  GetName = [](const abi::CustomOp* op) { return Of(op).name; };
  GetExecutionProviderType = [](const abi::CustomOp* op) { return Of(op).provider; };
  GetInputTypeCount = [](const abi::CustomOp* op) { return Of(op).inputs.size(); };
  GetInputType = [](const abi::CustomOp* op, size_t index) { return Of(op).inputs[index]; };
  GetInputCharacteristic = [](const abi::CustomOp*, size_t) { return abi::kRequired; };
  GetInputMemoryType = [](const abi::CustomOp* op, size_t index) {
    const bool on_cpu = Of(op).provider != nullptr && index + 2 >= Of(op).inputs.size();
    return on_cpu ? abi::kCpuInput : abi::kDefaultMemory;
  };
  GetOutputTypeCount = [](const abi::CustomOp*) { return size_t{1}; };
  GetOutputType = [](const abi::CustomOp* op, size_t) { return Of(op).inputs[0]; };
  GetOutputCharacteristic = [](const abi::CustomOp*, size_t) { return abi::kRequired; };
  InferOutputShapeFn = this->inputs[0] == abi::kUndefined ? InferShape : nullptr;
  CreateKernelV2 = CreateInstance;
  KernelComputeV2 = ComputeInstance;
  KernelDestroy = [](void* kernel) { delete static_cast<Instance*>(kernel); };
}

// The operators, for one runtime.
struct Domain {
  std::vector<Op> ops;
  OrtCustomOpDomain* domain = nullptr;

  explicit Domain(const OrtApi* api) {
    using abi::kFloat, abi::kInt64, abi::kUndefined;
    using Inputs = std::vector<abi::ElementType>;
    const Inputs none = {kFloat}, one = {kUndefined, kFloat, kInt64, kFloat},
                 two = {kUndefined, kFloat, kFloat, kInt64, kFloat},
                 convolution = {kFloat, kFloat, kInt64, kFloat, kFloat},
                 product = {kFloat, kFloat, kFloat, kInt64, kFloat, kFloat};
    const auto add = [&](const char* provider, Op::Compute gaussian, Op::Compute lognormal,
                         Op::Compute stuck) {
      ops.emplace_back("GaussianNoise", one, gaussian, provider, api);
      ops.emplace_back("LognormalNoise", two, lognormal, provider, api);
      ops.emplace_back("StuckFaults", two, stuck, provider, api);
    };
#if defined(NMTOOL_CUDA_EMULATED)
    add(nullptr, cuda::GaussianNoise, cuda::LognormalNoise, cuda::StuckFaults);
#else
    add(nullptr, GaussianNoise, LognormalNoise, StuckFaults);
    ops.emplace_back("BlockedGaussianNoise", one, BlockedGaussianNoise, nullptr, api);
    ops.emplace_back("GaussianMatMul", product, GaussianMatMul, nullptr, api);
    ops.emplace_back("GramFactor", none, GramFactor, nullptr, api);
    ops.emplace_back("ConvNoise", convolution, ConvNoise, nullptr, api);
    ops.emplace_back("CorrelatedNoise", two, CorrelatedNoise, nullptr, api);
#if defined(NMTOOL_CUDA)
    add("CUDAExecutionProvider", cuda::GaussianNoise, cuda::LognormalNoise, cuda::StuckFaults);
#endif
#endif
    Check(api, abi::kCreateCustomOpDomain(api, "nmtool", &domain));
    for (const Op& op : ops) Check(api, abi::kCustomOpDomainAdd(api, domain, &op));
  }
};

// One domain per runtime in the process. Never destroyed: sessions point to it, and one may outlive
// the static objects of this library.
OrtCustomOpDomain* DomainFor(const OrtApi* api) {
  static std::mutex mutex;
  static auto& domains = *new std::map<const OrtApi*, Domain>;
  const std::lock_guard<std::mutex> lock(mutex);
  return domains.try_emplace(api, api).first->second.domain;
}

}  // namespace
}  // namespace nmtool

OrtStatus* RegisterCustomOps(OrtSessionOptions* options, const OrtApiBase* base) {
  using namespace nmtool;
  const OrtApi* api = base->GetApi(abi::kApiVersion);
  if (api == nullptr) {
    const std::string message = "nmtool needs ONNX Runtime 1." + std::to_string(abi::kApiVersion) +
                                " or newer; this is " + base->GetVersionString();
    return abi::kCreateStatus(base->GetApi(1), abi::kFail, message.c_str());
  }
  return Guard(api, "nmtool", [&] {
    ActiveLevel();  // a wrong NMTOOL_SIMD is an error here, not at the first node
    Check(api, abi::kAddCustomOpDomain(api, options, DomainFor(api)));
  });
}
