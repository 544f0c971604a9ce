// The one product: a tile of rows times packed columns, kept in registers.
//
//     acc[r][c] += sum over k of A[r][k] B[k][c]
//
// A is row-major in words, B is packed in panels: a panel has up to four vectors of
// columns side by side, and is stored step after step, so it is read straight through:
//
//     panel 0:  k=0 [c0 c1 c2 c3]  k=1 [c0 c1 c2 c3] ...    panel 1:  k=0 [...] ...
//
// A word is what one step along k takes. In float32 it is one float. In bfloat16 it is the
// two values at 2k and 2k+1, the pair that one dot-product instruction multiplies and adds
// in float32; so the same loop does both, with half as many steps.
#pragma once

#include <cstddef>
#include <type_traits>

#include "simd.h"

namespace charloom::CHARLOOM_ISA {

struct Float32 {
    using Word = float;
    using Vector = Vec;
    static constexpr int PER_WORD = 1;

    INLINE static Vector load_words(const Word* from) { return load(from); }
    INLINE static Vector broadcast(Word x) { return fill(x); }
    INLINE static Vec multiply_add(Vector a, Vector b, Vec sum) { return fma(a, b, sum); }

    // A row of values, seen from its start, in columns.
    INLINE static void put(Word* row, int column, Vec x) { store(row + column, x); }
    INLINE static Vec get(const Word* row, int column) { return load(row + column); }
    INLINE static Word pair(const float* from, ptrdiff_t) { return *from; }
    INLINE static Vector interleave(const Word* const* rows, int column) {
        return load(rows[0] + column);
    }
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
    INLINE static Vec get(const Word* row, int column) {
        return from_bfloat16(load_as<HalfBits>(reinterpret_cast<const uint16_t*>(row) + column));
    }
    // The word of a value and the one `next` floats after it.
    INLINE static Word pair(const float* from, ptrdiff_t next) {
        return round_one(from[0]) | round_one(from[next]) << 16;
    }
    // Words along the rows: column by column, the values of two rows.
    INLINE static Vector interleave(const Word* const* rows, int column) {
        auto half = [&](int r) {
            auto* row = reinterpret_cast<const uint16_t*>(rows[r]);
            return __builtin_convertvector(load_as<HalfBits>(row + column), Bits);
        };
        return half(0) | half(1) << 16;
    }
    INLINE static uint32_t round_one(float x) {
        return to_bfloat16(fill(x))[0];
    }
};

constexpr int PANEL = 4;  // vectors of columns in a panel, at most

INLINE constexpr int round_up(int n, int to) { return (n + to - 1) / to * to; }
INLINE constexpr int divide_up(int n, int by) { return (n + by - 1) / by; }

// Part `index` of `n` things cut into `parts` runs as even as they can be.
INLINE constexpr int part_start(int n, int parts, int index) {
    return static_cast<int>(static_cast<long>(n) * index / parts);
}

template <class P, int R, int C>
INLINE void accumulate(Vec (&acc)[R][C], const typename P::Word* a, ptrdiff_t a_stride,
                       const typename P::Word* b, int steps) {
    for (int k = 0; k < steps; ++k, b += C * LANES) {
        typename P::Vector columns[C];
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) columns[c] = P::load_words(b + c * LANES);
#pragma GCC unroll 6
        for (int r = 0; r < R; ++r) {
            auto row = P::broadcast(a[r * a_stride + k]);
#pragma GCC unroll 4
            for (int c = 0; c < C; ++c)
                acc[r][c] = P::multiply_add(row, columns[c], acc[r][c]);
        }
    }
}

// The same as a function of its own: where the sum is long, a call costs nothing, and the
// code exists once.
template <class P, int R, int C>
[[gnu::noinline]] void accumulate_long(Vec (&acc)[R][C], const typename P::Word* a,
                                       ptrdiff_t a_stride, const typename P::Word* b,
                                       int steps) {
    Vec sums[R][C];
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) sums[r][c] = acc[r][c];
    accumulate<P, R, C>(sums, a, a_stride, b, steps);
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) acc[r][c] = sums[r][c];
}

// A number known only at run time, 1 to N, as one known to the compiler.
template <int N, class F>
INLINE void with_constant(int n, F&& f) {
    if constexpr (N == 1) {
        f(std::integral_constant<int, 1>{});
    } else if (n == N) {
        f(std::integral_constant<int, N>{});
    } else {
        with_constant<N - 1>(n, f);
    }
}

// f(first row, rows of the tile) over [begin, end), in tiles as even as they can be.
template <class F>
INLINE void for_tiles(int begin, int end, F&& f) {
    int rows = end - begin;
    if (rows <= 0) return;
    int tiles = divide_up(rows, TILE_ROWS);
    for (int tile = 0; tile < tiles; ++tile) {
        int from = begin + part_start(rows, tiles, tile);
        int to = begin + part_start(rows, tiles, tile + 1);
        with_constant<TILE_ROWS>(to - from, [&](auto r) { f(from, r); });
    }
}

// Where the panels of a matrix begin: `vectors` columns of vectors in `count` even runs.
struct Panels {
    int vectors = 0;
    int count = 0;

    Panels() = default;
    Panels(int vectors, int widest) : vectors(vectors), count(divide_up(vectors, widest)) {}
    int start(int panel) const { return part_start(vectors, count, panel); }
    int width(int panel) const { return start(panel + 1) - start(panel); }
};

// Pack W (K x N floats, row-major) for products A W: panels along N, words along K.
template <class P>
inline void pack_rows(const float* w, int K, int N, const Panels& panels, int first, int last,
                      typename P::Word* packed) {
    const int steps = divide_up(K, P::PER_WORD);
    for (int panel = first; panel < last; ++panel) {
        int column = panels.start(panel) * LANES;
        int width = panels.width(panel) * LANES;
        auto* to = packed + static_cast<size_t>(column) * steps;
        for (int k = 0; k < K; k += P::PER_WORD) {
            const float* from = w + static_cast<size_t>(k) * N + column;
            for (int c = 0; c < width; c += LANES, to += LANES) {
                Vec low = load(from + c);
                if constexpr (P::PER_WORD == 1) {
                    store(to, low);
                } else {
                    Vec high = k + 1 < K ? load(from + c + N) : Vec{};
                    Bits words = __builtin_convertvector(to_bfloat16(low), Bits) |
                                 __builtin_convertvector(to_bfloat16(high), Bits) << 16;
                    store_as(to, words);
                }
            }
        }
    }
}

// Pack W^T (N x K) for products D W^T: panels along K, words along N. N is a multiple of
// LANES; columns past K are zero.
template <class P>
inline void pack_columns(const float* w, int K, int N, const Panels& panels, int first,
                         int last, typename P::Word* packed) {
    const int steps = N / P::PER_WORD;
    for (int panel = first; panel < last; ++panel) {
        int column = panels.start(panel) * LANES;
        int width = panels.width(panel) * LANES;
        auto* to = packed + static_cast<size_t>(column) * steps;
        for (int c = 0; c < width; ++c) {
            int k = column + c;
            const float* from = w + static_cast<size_t>(k) * N;
            for (int n = 0; n < steps; ++n)
                to[static_cast<size_t>(n) * width + c] =
                    k < K ? P::pair(from + n * P::PER_WORD, 1) : typename P::Word{};
        }
    }
}

}  // namespace charloom::CHARLOOM_ISA
