// exp, sigmoid and tanh of vectors.
#pragma once

#include "kernels/simd.h"

namespace charloom::CHARLOOM_ISA {

// 2^y = 2^n 2^f with n whole and |f| <= 1/2, and 2^f = 1 + f q(f). The polynomial q is the one
// of its degree with the least relative error of 2^f, 9.1e-8 before rounding (fitted with
// Lawson's iteration); so a small e^x - 1 keeps its digits.
//
// Here and in `squash`, several vectors go through each operation together: a processor looks only
// so far ahead for instructions that need not wait.
template <int N>
struct Powers {
    Vec n[N];
    Vec fraction[N];  // 2^f - 1
};
template <int N>
INLINE Powers<N> power_parts(const Vec (&y)[N]) {
    Powers<N> p;
    Vec f[N], q[N];
    range<0, N>([&](int k) { p.n[k] = nearest(y[k]); });
    range<0, N>([&](int k) { f[k] = y[k] - p.n[k]; });
    range<0, N>([&](int k) { q[k] = fma(fill(0.00132647273f), f[k], fill(0.00967151299f)); });
    range<0, N>([&](int k) { q[k] = fma(q[k], f[k], fill(0.0555073358f)); });
    range<0, N>([&](int k) { q[k] = fma(q[k], f[k], fill(0.240222424f)); });
    range<0, N>([&](int k) { q[k] = fma(q[k], f[k], fill(0.693147004f)); });
    range<0, N>([&](int k) { p.fraction[k] = q[k] * f[k]; });
    return p;
}
constexpr float LOG2_E = 1.44269504f;
INLINE Vec clamp(Vec x, float limit) { return at_most(at_least(x, fill(-limit)), fill(limit)); }

INLINE Vec exponential(Vec x) {
    const Powers<1> p = power_parts<1>({clamp(x * fill(LOG2_E), 126.0f)});
    return times_power(fill(1.0f) + p.fraction[0], p.n[0]);
}

// The first S vectors through a sigmoid, the others through tanh:
//
//     sigmoid x = 1 / (1 + e^-x)     tanh x = (e^2x - 1) / (e^2x + 1)     beyond 9 it is 1
template <int S, int N>
INLINE void squash(Vec (&x)[N]) {
    Vec above[N], below[N];  // the bar of the fraction
    range<0, N>([&](int k) {
        x[k] = k < S ? clamp(x[k] * fill(-LOG2_E), 126.0f)
                     : clamp(x[k], 9.0f) * fill(2 * LOG2_E);
    });
    const Powers<N> p = power_parts(x);
    range<0, N>([&](int k) {
        above[k] = times_power(k < S ? fill(1.0f) + p.fraction[k] : fill(1.0f), p.n[k]);
    });
    range<S, N>(
        [&](int k) { above[k] = fma(above[k], p.fraction[k], above[k] - fill(1.0f)); });
    range<0, N>([&](int k) { below[k] = above[k] + fill(k < S ? 1.0f : 2.0f); });
    reciprocals(below);  // tanh's lies between 1 and 2 where x is negative, as they want
    range<0, N>([&](int k) { x[k] = k < S ? below[k] : above[k] * below[k]; });
}

// The same to 17 bits, for sums of bfloat16 products, whose factors have 8: 2^y = 2^n 2^f with 0 <= f < 1, and
// 2^f = 1 + f q(f) with a q that is exact at f = 1 and errs by no more than 3.4e-6. An infinite y
// has f = 0. Without AVX-512 it is the one above.
//
//     tanh x = 1 - 2 / (1 + e^2x)
template <int S, int N>
INLINE void squash_roughly(Vec (&x)[N]) {
#if defined(__AVX512F__)
    Vec f[N], power[N], below[N];
    range<0, N>([&](int k) { x[k] = x[k] * fill(k < S ? -LOG2_E : 2 * LOG2_E); });
    range<0, N>([&](int k) { x[k] = at_most(x[k], fill(64.0f)); });
    range<0, N>([&](int k) {
        f[k] = (Vec)_mm512_reduce_ps((__m512)x[k], _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    });
    range<0, N>([&](int k) { power[k] = fma(fill(0.0135557472f), f[k], fill(0.0520323691f)); });
    range<0, N>([&](int k) { power[k] = fma(power[k], f[k], fill(0.241379763f)); });
    range<0, N>([&](int k) { power[k] = fma(power[k], f[k], fill(0.693032121f)); });
    range<0, N>([&](int k) { power[k] = fma(power[k], f[k], fill(1.0f)); });
    range<0, N>([&](int k) { below[k] = fill(1.0f) + times_power(power[k], x[k]); });
    reciprocals(below);
    range<0, N>([&](int k) { x[k] = k < S ? below[k] : fma(fill(-2.0f), below[k], fill(1.0f)); });
#else
    squash<S>(x);
#endif
}

}  // namespace charloom::CHARLOOM_ISA
