// One row of logits: softmax, the surprisal of its target, and the gradient.
//
//     nats       = ln(sum over v of e^logit[v]) - logit[target]
//     d_logit[v] = (p[v] - (v is the target)) * weight
//
// A row has V logits, padded to whole vectors with values so low that their p is 0.
#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/precision.h"

namespace charloom::CHARLOOM_ISA {

struct Softmax {
    float most;   // the largest logit
    float total;  // sum of e^(logit - most)
};

// The surprisal of a row's target, in nats, is ln total + (most - logit).
struct Surprisal {
    float total, below;
    float nats() const { return std::log(total) + below; }
};

// That of many rows together, with one logarithm for 32 of them: a total is no more than 2^31,
// which V is below, so their product is a double.
inline double sum_of_nats(const Surprisal* rows, int count) {
    constexpr int TOGETHER = 32, FEW = 4;  // side by side, since a product waits for the last
    double nats = 0;
    for (int first = 0; first < count; first += TOGETHER) {
        double products[FEW] = {1, 1, 1, 1}, below = 0;
        for (int r = first; r < std::min(count, first + TOGETHER); ++r) {
            products[r % FEW] *= rows[r].total;
            below += rows[r].below;
        }
        nats += std::log(products[0] * products[1] * products[2] * products[3]) + below;
    }
    return nats;
}

// Replaces the logits by e^(logit - most). A NaN among them makes the total one.
inline Softmax softmax(float* row, int columns) {
    Vec most = load(row);
    for (int v = LANES; v < columns; v += LANES) most = at_least(most, load(row + v));
    Softmax result{maximum(most), 0};
    Vec total{};
    for (int v = 0; v < columns; v += LANES) {
        Vec e = exponential(load(row + v) - fill(result.most));
        e = load(row + v) < fill(-1e29f) ? Vec{} : e;
        store(row + v, e);
        total += e;
    }
    result.total = sum(total);
    return result;
}

// The gradient by the row's logits, in the words of P, from what `softmax` left there.
template <class P>
inline void softmax_gradient(const float* row, int columns, int target, const Softmax& s, float weight,
                  typename P::Word* d_row) {
    const float scale = weight / s.total;
    for (int v = 0; v < columns; v += LANES) {
        const Bits here = lane_numbers() + static_cast<uint32_t>(v);
        const Vec one = here == static_cast<uint32_t>(target) ? fill(s.total) : Vec{};
        P::put(d_row, v, (load(row + v) - one) * fill(scale));
    }
}

// 1 for the largest logit; equal ones share the better rank.
inline int rank_of(const float* row, int vocabulary, int target) {
    int rank = 1;
    for (int v = 0; v < vocabulary; ++v) rank += row[v] > row[target];
    return rank;
}

}  // namespace charloom::CHARLOOM_ISA
