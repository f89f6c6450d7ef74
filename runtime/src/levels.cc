#include "levels.h"

#include <cstdlib>
#include <stdexcept>

namespace nmtool {

const std::vector<const Kernels*>& SupportedLevels() {
  static const std::vector<const Kernels*> levels = [] {
    std::vector<const Kernels*> found = {&portable::kKernels};
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
      found.push_back(&avx2::kKernels);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
      found.push_back(&avx512::kKernels);
    }
#endif
    return found;
  }();
  return levels;
}

const std::string& SupportedLevelNames() {
  static const std::string names = [] {
    std::string joined;
    for (const Kernels* kernels : SupportedLevels())
      joined += (joined.empty() ? "" : ",") + std::string(kernels->level);
    return joined;
  }();
  return names;
}

const Kernels* FindLevel(const std::string& name) {
  for (const Kernels* kernels : SupportedLevels()) {
    if (name == kernels->level) return kernels;
  }
  return nullptr;
}

const Kernels& ActiveLevel() {
  const char* name = std::getenv("NMTOOL_SIMD");
  if (name == nullptr || *name == '\0') return *SupportedLevels().back();
  if (const Kernels* kernels = FindLevel(name)) return *kernels;
  throw std::runtime_error("NMTOOL_SIMD is '" + std::string(name) + "'; this CPU supports " +
                           SupportedLevelNames());
}

}  // namespace nmtool
