// Draw one character from a row of logits: engines/sampling.py in C++.
#pragma once

#include <vector>

#include "network/network.h"

namespace charloom {

class Sampler {
public:
    Sampler(const std::vector<int32_t>& forbidden, int vocabulary);

    int draw(const float* logits, const Sampling& sampling, double uniform);

    // The n-th character of a call, in a state of the restriction; writes the state after it, or
    // -1 where nothing may be drawn, and everything is.
    int draw(const float* logits, const Sampling& sampling, double uniform,
             const Restriction& restriction, int n, int32_t state, int32_t& after);

private:
    int draw_of_order(const float* logits, const Sampling& sampling, double uniform);

    std::vector<int> known_;
    std::vector<int> order_;  // what may be drawn, and then in which order
    std::vector<double> p_;
};

}  // namespace charloom
