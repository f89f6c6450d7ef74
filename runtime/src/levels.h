// The SIMD levels of this build that this CPU can run.
#pragma once

#include <string>
#include <vector>

#include "kernels.h"

namespace nmtool {

// From the slowest (portable) to the fastest.
const std::vector<const Kernels*>& SupportedLevels();

// "portable,avx2,avx512", as far as supported.
const std::string& SupportedLevelNames();

// The level called `name`, or null if it does not exist or this CPU lacks it.
const Kernels* FindLevel(const std::string& name);

// The level named by the environment variable NMTOOL_SIMD, else the fastest one. Throws if the name
// is not supported.
const Kernels& ActiveLevel();

}  // namespace nmtool
