// The two precisions of products: how their operands are stored, multiplied and rounded.
//
// A word is what one step along the sum takes. In float32 it is one float. In bfloat16 it is the
// two values at 2k and 2k+1, the pair that one dot-product instruction multiplies and adds in
// float32; so the same loop does both, with half as many steps.
#pragma once

#include "kernels/activations.h"
#include "kernels/simd.h"

namespace charloom::CHARLOOM_ISA {

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

template <int... LANE>
INLINE Bits concatenate(HalfBits low, HalfBits high, std::integer_sequence<int, LANE...>) {
    return (Bits)__builtin_shufflevector(low, high, LANE...);
}
// Two vectors side by side.
INLINE Bits to_bfloat16(Vec low, Vec high) {
#if defined(__AVX512BF16__)
    return (Bits)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
#else
    return concatenate(to_bfloat16(low), to_bfloat16(high),
                       std::make_integer_sequence<int, 2 * LANES>{});
#endif
}

struct Float32 {
    using Word = float;
    using Vector = Vec;
    static constexpr int PER_WORD = 1;

    INLINE static Vector load_words(const Word* from) { return load(from); }
    INLINE static Vector broadcast(Word x) { return fill(x); }
    INLINE static Vec multiply_add(Vector a, Vector b, Vec sum) { return fma(a, b, sum); }

    // Into a row that starts at `row`, at this column.
    INLINE static void put(Word* row, int column, Vec x) { store(row + column, x); }
    template <int N>
    INLINE static void put(Word* row, int column, const Vec (&x)[N]) {
        for (int n = 0; n < N; ++n) store(row + column + n * LANES, x[n]);
    }
    // sums += the N vectors of columns from `column` on, in an order of their own until
    // `sort_sums` is called after the last row.
    template <int N>
    INLINE static void add_row(const Word* row, int column, Vec (&sums)[N]) {
        for (int n = 0; n < N; ++n) sums[n] += load(row + column + n * LANES);
    }
    template <int N>
    INLINE static void sort_sums(Vec (&)[N]) {}
    // A vector of words from floats side by side: one vector and, where a word is a pair, the next
    // one, or zeros.
    INLINE static Vector words(const float* from, const float*) { return load(from); }
    // The word of each column from rows `from` and, where a word is a pair, `next`.
    INLINE static Vector words_down(const float* from, const float*) { return load(from); }
    // The N vectors of columns from `column` on, as words along the rows: f(n, the words).
    template <int N, class F>
    INLINE static void interleave(const Word* const* rows, int column, F&& f) {
        for (int n = 0; n < N; ++n) f(n, load(rows[0] + column + n * LANES));
    }
    // Two vectors stored together in PAIR words, and loaded again. For a gate x, between 0 and 1,
    // the distance from 1 matters and is stored as exactly as the distance from 0.
    static constexpr int PAIR = 2 * LANES;
    INLINE static void put_pair(Word* words, Vec x, Vec y) {
        store(words, x);
        store(words + LANES, y);
    }
    INLINE static void pair(const Word* words, Vec& x, Vec& y) {
        x = load(words);
        y = load(words + LANES);
    }
    INLINE static void put_gate_pair(Word* words, Vec x, Vec y) { put_pair(words, x, y); }
    INLINE static void gate_pair(const Word* words, Vec& x, Vec& y) { pair(words, x, y); }
    // Activations of sums of products: sigmoid for the first S, tanh for the others.
    template <int S, int N>
    INLINE static void squash_sums(Vec (&x)[N]) { squash<S>(x); }
};

struct Bfloat16 {
    using Word = uint32_t;
    using Vector = Bits;
    static constexpr int PER_WORD = 2;

    INLINE static Vector load_words(const Word* from) { return load_as<Bits>(from); }
    INLINE static Vector broadcast(Word x) {
#if defined(__AVX512F__)
        return (Bits)_mm512_set1_epi32(static_cast<int>(x));
#else
        return Bits{} + x;
#endif
    }
    INLINE static Vec multiply_add(Vector a, Vector b, Vec sum) {
#if defined(__AVX512BF16__)
        return (Vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
#else
        const uint32_t high = 0xffff0000u;
        sum = fma((Vec)(a & high), (Vec)(b & high), sum);
        return fma((Vec)(a << 16), (Vec)(b << 16), sum);
#endif
    }

    INLINE static void put(Word* row, int column, Vec x) {
        store_as(reinterpret_cast<uint16_t*>(row) + column, to_bfloat16(x));
    }
    template <int N>
    INLINE static void put(Word* row, int column, const Vec (&x)[N]) {
        for (int n = 0; n + 1 < N; n += 2)
            store_as(reinterpret_cast<uint16_t*>(row) + column + n * LANES,
                     to_bfloat16(x[n], x[n + 1]));
        if (N % 2) put(row, column + (N - 1) * LANES, x[N - 1]);
    }
    // A product with (1, 0) adds the even columns of two vectors, one with (0, 1) the odd ones.
    template <int N>
    INLINE static void add_row(const Word* row, int column, Vec (&sums)[N]) {
        auto* values = reinterpret_cast<const uint16_t*>(row) + column;
        constexpr Word EVEN = 0x3f80u, ODD = EVEN << 16;  // 1 in bfloat16
        range<0, N / 2>([&](int pair) {
            const Vector words = load_as<Bits>(values + 2 * pair * LANES);
            sums[2 * pair] = multiply_add(words, broadcast(EVEN), sums[2 * pair]);
            sums[2 * pair + 1] = multiply_add(words, broadcast(ODD), sums[2 * pair + 1]);
        });
        if (N % 2) sums[N - 1] += from_bfloat16(load_as<HalfBits>(values + (N - 1) * LANES));
    }
    template <int N>
    INLINE static void sort_sums(Vec (&sums)[N]) {
        range<0, N / 2>([&](int pair) {
            zip(sums[2 * pair], sums[2 * pair + 1], std::make_integer_sequence<int, LANES>{});
        });
    }
    INLINE static Vector words(const float* from, const float* next) {
        return to_bfloat16(load(from), next ? load(next) : Vec{});
    }
    INLINE static Vector words_down(const float* from, const float* next) {
        const HalfBits high = next ? to_bfloat16(load(next)) : HalfBits{};
        return __builtin_convertvector(to_bfloat16(load(from)), Bits) |
               __builtin_convertvector(high, Bits) << 16;
    }
    // A word along the rows has a column's values of two rows.
    template <int N, class F>
    INLINE static void interleave(const Word* const* rows, int column, F&& f) {
        auto at = [&](int r, int n) __attribute__((always_inline)) {
            return reinterpret_cast<const uint16_t*>(rows[r]) + column + n * LANES;
        };
        range<0, N / 2>([&](int pair) {
            const int n = 2 * pair;
            Bits low = load_as<Bits>(at(0, n)), high = load_as<Bits>(at(1, n));
            zip_halves(low, high);
            f(n, low);
            f(n + 1, high);
        });
        if (N % 2) {
            auto half = [&](int r) __attribute__((always_inline)) {
                return __builtin_convertvector(load_as<HalfBits>(at(r, N - 1)), Bits);
            };
            f(N - 1, half(0) | half(1) << 16);
        }
    }
    // Two vectors share words: each is rounded to bfloat16, halves up.
    static constexpr int PAIR = LANES;
    static constexpr uint32_t LOW = 0xffffu, HALF = 0x8000u;
    INLINE static void put_pair(Word* words, Vec x, Vec y) {
        store_as(words, choose(Bits{} + LOW, ((Bits)x + HALF) >> 16, (Bits)y + HALF));
    }
    INLINE static void pair(const Word* words, Vec& x, Vec& y) {
        const Bits both = load_as<Bits>(words);
        x = (Vec)(both << 16);
        y = (Vec)(both & ~LOW);
    }
    // x + 769 is a float whose last 16 bits are x + 1 in steps of 2^-14: near 1 that is finer than
    // bfloat16 by 64.
    static constexpr float RAISED = 769;
    static constexpr uint32_t RAISED_BITS = 0x44400000u;  // of 768
    INLINE static void put_gate_pair(Word* words, Vec x, Vec y) {
        store_as(words, choose(Bits{} + LOW, (Bits)(x + fill(RAISED)), (Bits)y + HALF));
    }
    INLINE static void gate_pair(const Word* words, Vec& x, Vec& y) {
        const Bits both = load_as<Bits>(words);
        x = (Vec)((both & LOW) | RAISED_BITS) - fill(RAISED);
        y = (Vec)(both & ~LOW);
    }
    template <int S, int N>
    INLINE static void squash_sums(Vec (&x)[N]) { squash_roughly<S>(x); }
};

// By the names that users give them.
namespace precisions {
using float32 = Float32;
using bfloat16 = Bfloat16;
}  // namespace precisions

}  // namespace charloom::CHARLOOM_ISA
