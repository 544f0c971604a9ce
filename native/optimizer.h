// Adam, in the form that Keras has (Kingma and Ba, 2015, end of section 2):
//
//     mean   += (g - mean) (1 - beta1)
//     square += (g^2 - square) (1 - beta2)
//     w      -= rate sqrt(1 - beta2^t) / (1 - beta1^t) * mean / (sqrt(square) + epsilon)
//
// and the squares for the global norm by which g is clipped before.
#pragma once

#include <cmath>

#include "simd.h"

namespace charloom::CHARLOOM_ISA {

// sums[n] += g[n]^2. Sizes are whole vectors, here and below.
inline void add_squares(const float* g, size_t size, float* sums) {
    for (size_t n = 0; n < size; n += LANES)
        store(sums + n, fma(load(g + n), load(g + n), load(sums + n)));
}

struct Adam {
    float alpha, keep1, keep2, epsilon, scale;  // scale clips the gradient

    Adam(double rate, double beta1, double beta2, double epsilon, double scale, long step)
        : alpha(static_cast<float>(rate * std::sqrt(1 - std::pow(beta2, step)) /
                                   (1 - std::pow(beta1, step)))),
          keep1(static_cast<float>(1 - beta1)),
          keep2(static_cast<float>(1 - beta2)),
          epsilon(static_cast<float>(epsilon)),
          scale(static_cast<float>(scale)) {}

    void update(float* w, float* mean, float* square, const float* gradient,
                size_t size) const {
        for (size_t n = 0; n < size; n += LANES) {
            Vec g = load(gradient + n) * fill(scale);
            Vec m = load(mean + n);
            Vec s = load(square + n);
            m = fma(g - m, fill(keep1), m);
            s = fma(g * g - s, fill(keep2), s);
            store(mean + n, m);
            store(square + n, s);
            store(w + n, load(w + n) - fill(alpha) * m / (square_root(s) + fill(epsilon)));
        }
    }
};

}  // namespace charloom::CHARLOOM_ISA
