// Adam, in the form that Keras has (Kingma and Ba, 2015, end of section 2):
//
//     mean   += (g - mean) (1 - beta1)
//     square += (g^2 - square) (1 - beta2)
//     w      -= rate sqrt(1 - beta2^t) / (1 - beta1^t) * mean / (sqrt(square) + epsilon)
//
// and the squares for the global norm by which g is clipped before.
#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/product.h"

namespace charloom::CHARLOOM_ISA {

// The sum of the squares of so many vectors, each lane's in float32 for no more than 256 of them.
inline double sum_of_squares(const float* g, int vectors) {
    constexpr int FEW = 4, MOST = 256 * FEW;  // side by side, since a sum waits for the last one
    double total = 0;
    for (int n = 0; n < vectors; n += MOST) {
        Vec sums[FEW] = {};
        const int end = std::min(vectors, n + MOST);
        for (int first = n; first < end; first += FEW)
            with_constant<FEW>(std::min(FEW, end - first), [&](auto count) {
                range<0, count>([&](int k) {
                    const Vec x = load(g + static_cast<size_t>(first + k) * LANES);
                    sums[k] = fma(x, x, sums[k]);
                });
            });
        for (int k = 0; k < FEW; ++k)
            for (int lane = 0; lane < LANES; ++lane) total += sums[k][lane];
    }
    return total;
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

    // `size` is in whole vectors.
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
