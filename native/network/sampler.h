// Draw one character from a row of logits: engines/sampling.py in C++.
#pragma once

#include <vector>

#include "network/network.h"

namespace charloom {

class Sampler {
public:
    Sampler(const std::vector<int32_t>& forbidden, int vocabulary);
    int draw(const float* logits, const Sampling& sampling, double uniform);

private:
    std::vector<int> allowed_;
    std::vector<int> order_;
    std::vector<double> p_;
};

}  // namespace charloom
