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
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace charloom::CHARLOOM_ISA {

#if defined(__AVX512F__)
constexpr int LANES = 16;
constexpr int TILE = 24;  // vectors of sums in registers, of 32
#elif defined(__AVX2__)
constexpr int LANES = 8;
constexpr int TILE = 12;  // of 16
#elif defined(CHARLOOM_NEON)
constexpr int LANES = 4;
constexpr int TILE = 24;  // of 32
#else
constexpr int LANES = 4;
constexpr int TILE = 12;
#endif

typedef float Vec __attribute__((vector_size(LANES * 4), may_alias));
typedef uint32_t Bits __attribute__((vector_size(LANES * 4), may_alias));
typedef uint16_t HalfBits __attribute__((vector_size(LANES * 2), may_alias));

#define INLINE [[gnu::always_inline]] inline

// f(k) for k from FROM to N, written out by the compiler so that small arrays stay in registers.
template <int FROM, int N, class F>
INLINE void range(F&& f) {
#pragma GCC unroll 8
    for (int k = FROM; k < N; ++k) f(k);
}

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
// A store past the caches, where a vector is a whole cache line: for what other cores have read and
// will read again, so that this core need not fetch the line before it overwrites it. After such
// stores and before another thread is told that they are done, `streams_end` must be called.
template <class V, class T>
INLINE void stream_as(T* to, V v) {
#if defined(__AVX512F__)
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to), (__m512i)v);
#else
    store_as(to, v);
#endif
}
INLINE void streams_end() {
#if defined(__AVX512F__)
    _mm_sfence();
#endif
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
#elif defined(CHARLOOM_NEON)
    return (Vec)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}

// c - a b
INLINE Vec fnma(Vec a, Vec b, Vec c) {
#if defined(__AVX512F__)
    return (Vec)_mm512_fnmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
    return (Vec)_mm256_fnmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(CHARLOOM_NEON)
    return (Vec)vfmsq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return c - a * b;
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

// 0, 1, 2 and so on.
INLINE Bits lane_numbers() {
    Bits lanes;
    for (int n = 0; n < LANES; ++n) lanes[n] = n;
    return lanes;
}

INLINE Vec square_root(Vec x) {
#if defined(__AVX512F__)
    return (Vec)_mm512_sqrt_ps((__m512)x);
#elif defined(__AVX2__)
    return (Vec)_mm256_sqrt_ps((__m256)x);
#elif defined(__SSE2__)
    return (Vec)_mm_sqrt_ps((__m128)x);
#elif defined(__aarch64__)
    return (Vec)vsqrtq_f32((float32x4_t)x);
#else
    for (int lane = 0; lane < LANES; ++lane) x[lane] = std::sqrt(x[lane]);
    return x;
#endif
}

// The bits of `a` where those of `mask` are set, and those of `b` elsewhere.
INLINE Bits choose(Bits mask, Bits a, Bits b) {
#if defined(__AVX512F__)
    return (Bits)_mm512_ternarylogic_epi32((__m512i)mask, (__m512i)a, (__m512i)b, 0xca);
#else
    return (a & mask) | (b & ~mask);
#endif
}

// a0 b0 a1 b1 ... in place of a0 a1 ... and b0 b1 ...
template <int... LANE>
INLINE void zip(Vec& a, Vec& b, std::integer_sequence<int, LANE...>) {
    const Vec first = __builtin_shufflevector(a, b, (LANE / 2 + LANE % 2 * LANES)...);
    b = __builtin_shufflevector(a, b, (LANES / 2 + LANE / 2 + LANE % 2 * LANES)...);
    a = first;
}

// The same with their halves of 16 bits.
template <int... LANE>
INLINE void zip_halves(Bits& a, Bits& b, std::integer_sequence<int, LANE...>) {
    typedef uint16_t Halves __attribute__((vector_size(LANES * 4), may_alias));
    constexpr int COUNT = 2 * LANES;
    const Halves x = (Halves)a, y = (Halves)b;
    a = (Bits)__builtin_shufflevector(x, y, (LANE / 2 + LANE % 2 * COUNT)...);
    b = (Bits)__builtin_shufflevector(x, y, (LANES + LANE / 2 + LANE % 2 * COUNT)...);
}
INLINE void zip_halves(Bits& a, Bits& b) {
    zip_halves(a, b, std::make_integer_sequence<int, 2 * LANES>{});
}

// 1 / x, for 1 <= x < 2^127. The estimate is good to 14 bits; one step of Newton's gives 27.
template <int N>
INLINE void reciprocals(Vec (&x)[N]) {
#if defined(__AVX512F__)
    Vec estimate[N], error[N];
    range<0, N>([&](int k) { estimate[k] = (Vec)_mm512_rcp14_ps((__m512)x[k]); });
    range<0, N>([&](int k) { error[k] = fnma(x[k], estimate[k], fill(1.0f)); });
    range<0, N>([&](int k) { x[k] = fma(estimate[k], error[k], estimate[k]); });
#else
    range<0, N>([&](int k) { x[k] = fill(1.0f) / x[k]; });
#endif
}

// The nearest whole number, for |x| < 2^22; and x 2^n, for whole n from -126 to 127 (with AVX-512
// for every n, rounded down).
INLINE Vec nearest(Vec x) {
#if defined(__AVX512F__)
    return (Vec)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT);
#else
    return x + fill(12582912.0f) - fill(12582912.0f);  // 1.5 * 2^23
#endif
}
INLINE Vec times_power(Vec x, Vec n) {
#if defined(__AVX512F__)
    return (Vec)_mm512_scalef_ps((__m512)x, (__m512)n);
#else
    Bits whole = (Bits)(n + fill(12582912.0f));  // n in the low bits
    return x * (Vec)((whole + 127u) << 23);
#endif
}

// Lanes are combined with those half a vector away, then a quarter, and so on: always in the
// same order.
template <int HALF, class F, int... LANE>
INLINE float across(Vec x, F&& combine, std::integer_sequence<int, LANE...> lanes) {
    x = combine(x, __builtin_shufflevector(x, x, (LANE ^ HALF)...));
    if constexpr (HALF > 1) return across<HALF / 2>(x, combine, lanes);
    return x[0];
}
template <class F>
INLINE float across(Vec x, F&& combine) {
    return across<LANES / 2>(x, combine, std::make_integer_sequence<int, LANES>{});
}
INLINE float sum(Vec x) {
    return across(x, [](Vec a, Vec b) { return a + b; });
}
INLINE float maximum(Vec x) {
    return across(x, [](Vec a, Vec b) { return at_least(a, b); });
}

}  // namespace charloom::CHARLOOM_ISA
