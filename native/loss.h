// One row of logits: softmax, the surprise at its target, and the slope.
//
//     nats       = ln(sum over v of e^logit[v]) - logit[target]
//     d_logit[v] = (p[v] - (v is the target)) * weight
//
// A row has V logits, padded to whole vectors with values so low that their p is 0.
#pragma once

#include <cmath>

#include "gemm.h"

namespace charloom::CHARLOOM_ISA {

struct Softmax {
    float most;   // the largest logit
    float total;  // sum of e^(logit - most)
    float nats(float logit) const { return std::log(total) + (most - logit); }
};

// Replaces the logits by e^(logit - most).
inline Softmax softmax(float* row, int columns) {
    Vec most = load(row);
    for (int v = LANES; v < columns; v += LANES) most = larger(most, load(row + v));
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

// The row's slope, in the words of P, from what `softmax` left there.
template <class P>
inline void slope(float* row, int columns, int target, const Softmax& s, float weight,
                  typename P::Word* d_row) {
    float scale = weight / s.total;
    row[target] -= s.total;
    for (int v = 0; v < columns; v += LANES) P::put(d_row, v, load(row + v) * fill(scale));
}

// 1 for the largest logit; equal ones share the better rank.
inline int rank_of(const float* row, int vocabulary, int target) {
    int rank = 1;
    for (int v = 0; v < vocabulary; ++v) rank += row[v] > row[target];
    return rank;
}

}  // namespace charloom::CHARLOOM_ISA
