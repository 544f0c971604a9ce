// Draw one character from a row of logits: engines/sampling.py in C++.
#pragma once

#include <vector>

#include "network/network.h"

namespace charloom {

class Sampler {
public:
    Sampler(const Sampling& sampling, int vocabulary);
    int draw(const float* logits, double uniform);

private:
    const Sampling sampling_;
    std::vector<int> allowed_;
    std::vector<int> order_;
    std::vector<double> p_;
};

}  // namespace charloom
