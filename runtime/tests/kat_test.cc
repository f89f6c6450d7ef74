// The known answers of tests/data at every SIMD level of this CPU, through the C interface alone.
// Usage: kat_test <folder>
#include <cmath>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

#include "nmtool_ops.h"

namespace {

int failures = 0;

void Expect(bool condition, const std::string& level, const std::string& line) {
  if (condition) return;
  ++failures;
  std::cerr << level << ": " << line << "\n";
}

// Calls check(line) for each line that is not a comment, and returns how many there were.
template <class Check>
int ForEachLine(const std::string& path, Check check) {
  std::ifstream file(path);
  int lines = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    check(line);
    ++lines;
  }
  return lines;
}

int TestPhilox(const std::string& path, const std::string& level) {
  return ForEachLine(path, [&](const std::string& line) {
    uint32_t values[10], out[4];
    std::istringstream fields(line);
    for (uint32_t& value : values) fields >> std::hex >> value;
    Expect(fields && nmtool_philox(values, values + 4, out, level.c_str()) == 0, level, line);
    for (int j = 0; j < 4; ++j) Expect(out[j] == values[6 + j], level, line);
  });
}

int TestElements(const std::string& path, const std::string& level) {
  return ForEachLine(path, [&](const std::string& line) {
    int64_t seed, stream, trial;
    int32_t draw;
    uint64_t element;
    uint32_t word, word_out = 0;
    double uniform, normal;
    float uniform_out = 0, normal_out = 0;
    std::istringstream fields(line);
    fields >> seed >> stream >> trial >> draw >> element >> std::hex >> word >> uniform >> normal;
    Expect(bool(fields), level, line);
    nmtool_words(&word_out, element, 1, seed, stream, trial, draw, level.c_str());
    nmtool_uniforms(&uniform_out, element, 1, seed, stream, trial, draw, level.c_str());
    nmtool_normals(&normal_out, element, 1, seed, stream, trial, draw, level.c_str());
    const double ulp = std::ldexp(1.0, std::ilogb(normal) - 23);
    Expect(word_out == word, level, line);
    Expect(uniform_out == uniform, level, line);
    Expect(std::fabs(normal_out - normal) <= 4 * ulp, level, line);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : ".";
  std::istringstream levels(nmtool_simd_levels());
  for (std::string level; std::getline(levels, level, ',');) {
    const int counters = TestPhilox(folder + "/philox_kat.txt", level);
    const int elements = TestElements(folder + "/normal_kat.txt", level);
    Expect(counters > 0 && elements > 0, level, "no known answers in " + folder);
    std::cout << level << ": " << counters << " counters, " << elements << " elements\n";
  }
  return failures == 0 ? 0 : 1;
}
