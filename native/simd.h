// A vector of floats as wide as the instruction set has, and the few functions of it.
//
// The file is compiled once per instruction set (see CMakeLists.txt), each time into its
// own namespace CHARLOOM_ISA. Everything above this file is written with `Vec`, so it
// exists once. Sums are never contracted by the compiler (-ffp-contract=off): where a
// fused multiply-add is meant, it is written `fma`, so that every tile size, and with it
// every number of threads, computes the same bits.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace charloom::CHARLOOM_ISA {

#if defined(__AVX512F__)
constexpr int LANES = 16;
constexpr int TILE_ROWS = 6;  // 6 rows x 4 columns = 24 of 32 registers
#elif defined(__AVX2__)
constexpr int LANES = 8;
constexpr int TILE_ROWS = 3;  // 3 x 4 = 12 of 16
#else
constexpr int LANES = 4;
constexpr int TILE_ROWS = 3;
#endif

typedef float Vec __attribute__((vector_size(LANES * 4), may_alias));
typedef uint32_t Bits __attribute__((vector_size(LANES * 4), may_alias));
typedef uint16_t HalfBits __attribute__((vector_size(LANES * 2), may_alias));

#define INLINE [[gnu::always_inline]] inline

template <class V, class T>
INLINE V load_as(const T* from) {
    V v;
    std::memcpy(&v, from, sizeof v);
    return v;
}
template <class V, class T>
INLINE void store_as(T* to, V v) {
    std::memcpy(to, &v, sizeof v);
}
INLINE Vec load(const float* from) { return load_as<Vec>(from); }
INLINE void store(float* to, Vec v) { store_as(to, v); }

INLINE Vec fill(float x) {
#if defined(__AVX512F__)
    return (Vec)_mm512_set1_ps(x);
#elif defined(__AVX2__)
    return (Vec)_mm256_set1_ps(x);
#else
    return Vec{x, x, x, x};
#endif
}

INLINE Vec fma(Vec a, Vec b, Vec c) {
#if defined(__AVX512F__)
    return (Vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
    return (Vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

// The larger and the smaller; a NaN in `x` comes through.
INLINE Vec at_least(Vec x, Vec low) {
#if defined(__AVX512F__)
    return (Vec)_mm512_max_ps((__m512)low, (__m512)x);
#else
    return x < low ? low : x;
#endif
}
INLINE Vec at_most(Vec x, Vec high) {
#if defined(__AVX512F__)
    return (Vec)_mm512_min_ps((__m512)high, (__m512)x);
#else
    return x > high ? high : x;
#endif
}

INLINE Vec square_root(Vec x) {
#if defined(__AVX512F__)
    return (Vec)_mm512_sqrt_ps((__m512)x);
#elif defined(__AVX2__)
    return (Vec)_mm256_sqrt_ps((__m256)x);
#elif defined(__SSE2__)
    return (Vec)_mm_sqrt_ps((__m128)x);
#else
    for (int lane = 0; lane < LANES; ++lane) x[lane] = std::sqrt(x[lane]);
    return x;
#endif
}

// 1 / x, for 1 <= x < 2^127. The estimate is good to 14 bits; one step of Newton's gives 27.
INLINE Vec reciprocal(Vec x) {
#if defined(__AVX512F__)
    Vec estimate = (Vec)_mm512_rcp14_ps((__m512)x);
    Vec error = fma(-x, estimate, fill(1.0f));
    return fma(estimate, error, estimate);
#else
    return fill(1.0f) / x;
#endif
}

INLINE float sum(Vec x) {  // always in the same order
    float total = x[0];
    for (int lane = 1; lane < LANES; ++lane) total += x[lane];
    return total;
}
INLINE float maximum(Vec x) {  // a NaN comes through
    float most = x[0];
    for (int lane = 1; lane < LANES; ++lane)
        if (!(x[lane] <= most)) most = x[lane];
    return most;
}

// e^x = 2^n e^r with n whole and |r| <= ln 2 / 2. Adding 1.5 * 2^23 rounds to whole and
// leaves n in the low bits; ln 2 is taken off in two parts (Cody and Waite, 1980); e^r - 1
// is a Taylor series, whose first missing term is under 2^-26 there.
struct Exponential {
    Vec power;         // 2^n
    Vec fraction;      // e^r - 1
};
INLINE Exponential exponential_parts(Vec x) {
    const Vec shift = fill(12582912.0f);
    x = at_most(at_least(x, fill(-87.0f)), fill(87.0f));
    Vec shifted = fma(x, fill(1.44269504f), shift);
    Vec n = shifted - shift;
    Vec r = fma(n, fill(-0.693359375f), x);
    r = fma(n, fill(2.12194440e-4f), r);
    Vec series = fill(1.0f / 720);
    series = fma(series, r, fill(1.0f / 120));
    series = fma(series, r, fill(1.0f / 24));
    series = fma(series, r, fill(1.0f / 6));
    series = fma(series, r, fill(0.5f));
    series = fma(series * r, r, r);
    Bits exponent = ((Bits)shifted + 127u) << 23;
    return {(Vec)exponent, series};
}
INLINE Vec exponential(Vec x) {
    Exponential e = exponential_parts(x);
    return fma(e.power, e.fraction, e.power);
}
INLINE Vec sigmoid(Vec x) {
    return reciprocal(fill(1.0f) + exponential(-x));
}
// tanh x = (e^2x - 1) / (e^2x + 1); e^2x - 1 is taken from the parts, so that a small x
// keeps its digits. Beyond 9 the nearest float is 1.
INLINE Vec hyperbolic_tangent(Vec x) {
    x = at_most(at_least(x, fill(-9.0f)), fill(9.0f));
    Exponential e = exponential_parts(x + x);
    Vec above = fma(e.power, e.fraction, e.power - fill(1.0f));
    // above + 2 lies between 1 and 2 for negative x, as `reciprocal` wants
    return above * reciprocal(above + fill(2.0f));
}

// To bfloat16, to the nearest, ties to even; and back.
INLINE HalfBits to_bfloat16(Vec x) {
#if defined(__AVX512BF16__)
    return (HalfBits)_mm512_cvtneps_pbh((__m512)x);
#else
    Bits bits = (Bits)x;
    Bits rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
    rounded = x == x ? rounded : bits | 0x400000u;  // a NaN stays one
    return __builtin_convertvector(rounded >> 16, HalfBits);
#endif
}
INLINE Vec from_bfloat16(HalfBits x) {
    return (Vec)(__builtin_convertvector(x, Bits) << 16);
}

}  // namespace charloom::CHARLOOM_ISA
