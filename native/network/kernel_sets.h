// Which kernels there are, which of them this processor runs, and networks made of them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "network/network.h"

namespace charloom {

// Names of the instruction sets that this program has kernels for and this processor can run, the
// fastest first.
std::vector<std::string> available_kernels();
// All that the program has, the slowest first.
std::vector<std::string> built_kernels();
std::vector<std::string> cells();

// The precisions are float32, bfloat16 and int8. What a set does not have comes from the next
// slower one that has it, and int8 is float32 where no set has it.
// std::invalid_argument where there is no such cell or precision, or not those kernels here.
std::unique_ptr<Network> make_network(const std::string& kernels, const std::string& cell,
                                      const std::string& precision, const Shape& shape,
                                      int threads);

// Operations per second of the bare product in float32 or bfloat16, on so many threads.
double product_peak(const std::string& kernels, const std::string& precision, int threads,
                    double seconds);

}  // namespace charloom
