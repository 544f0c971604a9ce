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

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "kernels/simd.h"

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
    template <int N>
    INLINE static void put(Word* row, int column, const Vec (&x)[N]) {
        for (int n = 0; n < N; ++n) store(row + column + n * LANES, x[n]);
    }
    // sums += the N vectors of columns that begin there; in an order of their own until the last
    // row is added and they are sorted.
    template <int N>
    INLINE static void add_row(const Word* row, int column, Vec (&sums)[N]) {
        for (int n = 0; n < N; ++n) sums[n] += load(row + column + n * LANES);
    }
    template <int N>
    INLINE static void sort_sums(Vec (&)[N]) {}
    // A vector of words from as many floats side by side: one vector of them and, where a word
    // is a pair, the next one, or zeros.
    INLINE static Vector words(const float* from, const float*) { return load(from); }
    // The word of each column from rows `from` and, where a word is a pair, `next`.
    INLINE static Vector words_down(const float* from, const float*) { return load(from); }
    // The N vectors of columns that begin there, as words along the rows: f(n, the words).
    template <int N, class F>
    INLINE static void interleave(const Word* const* rows, int column, F&& f) {
        for (int n = 0; n < N; ++n) f(n, load(rows[0] + column + n * LANES));
    }
    // Two vectors put away together, in so many words, and back; and where x is a gate, between
    // 0 and 1, and how far it is from 1 counts.
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
    // Of sums of products: the first S through a sigmoid, the others through tanh.
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

constexpr int PANEL = 4;  // vectors of columns in a panel, at most
constexpr int VECTOR_BYTES = sizeof(Vec);

// Rows of a tile that is so many vectors wide. A narrow one has not the most that registers
// would hold: its sums are enough to hide the time that one takes.
constexpr int tile_rows(int width) { return TILE / std::max(width, 3); }

INLINE constexpr int round_up(int n, int to) { return (n + to - 1) / to * to; }
INLINE constexpr int divide_up(int n, int by) { return (n + by - 1) / by; }

// Part `index` of `n` things cut into `parts` runs as even as they can be.
INLINE constexpr int part_start(int n, int parts, int index) {
    return static_cast<int>(static_cast<long>(n) * index / parts);
}

// f(r, c) for each vector of a tile, with indices that the compiler knows.
template <int R, int C, class F>
INLINE void each(F&& f) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) f(r, c);
}

constexpr int AHEAD = 16;  // steps

// A's word of row r at step k is a[r * row_stride + k * step_stride].
template <class P, int R, int C>
INLINE void accumulate(Vec (&acc)[R][C], const typename P::Word* a, ptrdiff_t row_stride,
                       ptrdiff_t step_stride, const typename P::Word* b, int steps) {
    for (int k = 0; k < steps; ++k, a += step_stride, b += C * LANES) {
        typename P::Vector columns[C];
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) columns[c] = P::load_words(b + c * LANES);
        if constexpr (R == 1)  // B is read once only, and from afar
            for (int c = 0; c < C; ++c) __builtin_prefetch(b + (AHEAD * C + c) * LANES);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            auto row = P::broadcast(a[r * row_stride]);
#pragma GCC unroll 4
            for (int c = 0; c < C; ++c)
                acc[r][c] = P::multiply_add(row, columns[c], acc[r][c]);
        }
    }
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
template <int WIDTH, class F>
INLINE void for_tiles(int begin, int end, F&& f) {
    int rows = end - begin;
    if (rows <= 0) return;
    int tiles = divide_up(rows, tile_rows(WIDTH));
    for (int tile = 0; tile < tiles; ++tile) {
        int from = begin + part_start(rows, tiles, tile);
        int to = begin + part_start(rows, tiles, tile + 1);
        with_constant<tile_rows(WIDTH)>(
            to - from, [&](auto r) __attribute__((always_inline)) { f(from, r); });
    }
}

// One term of a sum of products: rows of A in words, `stride` apart, and a panel of B.
template <class P>
struct Term {
    const typename P::Word* a = nullptr;  // row 0
    ptrdiff_t stride = 0;
    const typename P::Word* b = nullptr;
    int steps = 0;
};

// A sum that starts from nothing.
constexpr auto zero = [](int, auto& sums) __attribute__((always_inline)) {
    for (auto& row : sums)
        for (Vec& sum : row) sum = Vec{};
};

constexpr auto nothing = [](auto&&...) __attribute__((always_inline)) {};

// For each tile of rows [from, to): start(row, sums), sums += A B for the first term, then
// between(row, sums), sums += A B for the second, end(row, sums). Either term may be empty.
// Before the second, soon(row, rows of the tile) may ask for what `end` is going to read.
//
// Every tile reads the whole panel again, from the second-level cache where the first does not
// hold it: a step loads C vectors of it for R C products.
template <class P, int C, class Start, class End, class Between = decltype(nothing),
          class Soon = decltype(nothing)>
INLINE void multiply_rows(int from, int to, const Term<P>& first, const Term<P>& second,
                          const Start& start, const End& end, const Between& between = nothing,
                          const Soon& soon = nothing) {
    for_tiles<C>(from, to, [&](int row, auto rows) __attribute__((always_inline)) {
        Vec sums[rows][C];
        auto add = [&](const Term<P>& term) __attribute__((always_inline)) {
            accumulate<P>(sums, term.a + row * term.stride, term.stride, 1, term.b, term.steps);
        };
        start(row, sums);
        add(first);
        between(row, sums);
        soon(row, rows);
        add(second);
        end(row, sums);
    });
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

// f(first column, width in vectors) for each panel, the width known to the compiler.
template <class F>
INLINE void for_panels(const Panels& panels, F&& f) {
    for (int panel = 0; panel < panels.count; ++panel)
        with_constant<PANEL>(panels.width(panel),
                             [&](auto width) { f(panels.start(panel) * LANES, width); });
}

// A matrix of floats as it is kept: cut into strips, a strip being one vector of columns.
//
//     strip 0:  row 0 [columns 0..15]  row 1 [0..15] ...    strip 1:  row 0 [16..31] ...
//
// Threads share a matrix by its strips. So what one of them writes lies apart from what another
// does: where the two take turns in memory, a processor that reads ahead fetches lines away from
// the core that is about to write them.
template <class Float>
struct Strips {
    Float* first;
    int rows;

    Float* at(int row, int strip) const {
        return first + (static_cast<size_t>(strip) * rows + row) * LANES;
    }
};

// Pack rows [first, last) of strips [from, to) of W (K x N) for products A W: panels along N,
// words along K. `first` is a multiple of LANES, and so is `last` unless it is K.
template <class P>
inline void pack_rows(Strips<const float> w, const Panels& panels, int first, int last, int from,
                      int to, typename P::Word* packed) {
    const size_t steps = divide_up(w.rows, P::PER_WORD);
    for (int panel = 0; panel < panels.count; ++panel) {
        const int start = panels.start(panel), width = panels.width(panel);
        for (int c = std::max(from, start); c < std::min(to, start + width); ++c)
            for (int k = first; k < last; k += P::PER_WORD)
                stream_as(packed + (start * steps + k / P::PER_WORD * width + c - start) * LANES,
                         P::words_down(w.at(k, c), k + 1 < w.rows ? w.at(k + 1, c) : nullptr));
    }
}

// A square of LANES x LANES words, turned: rows become columns. In each round, what stands
// off the diagonal in squares of 2 HALF x 2 HALF changes places.
template <int HALF, class V, int... LANE>
INLINE void turn_round(V (&rows)[LANES], std::integer_sequence<int, LANE...> lanes) {
#pragma GCC unroll 16
    for (int r = 0; r < LANES; ++r) {
        if (r & HALF) continue;
        const V a = rows[r], b = rows[r + HALF];
        rows[r] = __builtin_shufflevector(a, b, (LANE & HALF ? LANES + LANE - HALF : LANE)...);
        rows[r + HALF] =
            __builtin_shufflevector(a, b, (LANE & HALF ? LANES + LANE : LANE + HALF)...);
    }
    if constexpr (HALF > 1) turn_round<HALF / 2>(rows, lanes);
}
template <class V>
INLINE void turn(V (&rows)[LANES]) {
    turn_round<LANES / 2>(rows, std::make_integer_sequence<int, LANES>{});
}

// The same for products D W^T: panels along K, words along N. Columns past K are zero.
template <class P>
inline void pack_columns(Strips<const float> w, int strips, const Panels& panels, int first,
                         int last, int from, int to, typename P::Word* packed) {
    const size_t steps = static_cast<size_t>(strips) * LANES / P::PER_WORD;
    for (int k = first; k < last; k += LANES) {
        int panel = 0;
        while (panels.start(panel + 1) <= k / LANES) ++panel;
        const int start = panels.start(panel) * LANES, width = panels.width(panel) * LANES;
        for (int c = from; c < to; c += P::PER_WORD) {
            const int together = std::min(P::PER_WORD, to - c);
            typename P::Vector square[LANES];
            for (int r = 0; r < LANES; ++r)
                square[r] = k + r < w.rows
                                ? P::words(w.at(k + r, c), together > 1 ? w.at(k + r, c + 1) : nullptr)
                                : typename P::Vector{};
            turn(square);
            const int n = c * LANES / P::PER_WORD, rows = together * LANES / P::PER_WORD;
            for (int r = 0; r < rows; ++r)
                stream_as(packed + start * steps + (n + r) * width + (k - start), square[r]);
        }
    }
}

}  // namespace charloom::CHARLOOM_ISA
