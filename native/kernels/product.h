// The one product: a tile of rows times packed columns, kept in registers.
//
//     acc[r][c] += sum over k of A[r][k] B[k][c]
//
// A is row-major in words (see precision.h), B is packed in panels: a panel has up to four vectors
// of columns side by side, and is stored step after step, so it is read straight through:
//
//     panel 0:  k=0 [c0 c1 c2 c3]  k=1 [c0 c1 c2 c3] ...    panel 1:  k=0 [...] ...
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "kernels/precision.h"
#include "kernels/tiles.h"
#include "support/purpose.h"

namespace charloom::CHARLOOM_ISA {

constexpr int PANEL = 4;  // vectors of columns in a panel, at most

// Rows of a tile that is so many vectors wide. A narrow one has fewer than registers would hold: its
// sums are enough to hide the latency of an addition. The library for C has one row at a time.
constexpr int tile_rows(int width) {
    return TILES ? 32 : TRAINS ? TILE / std::max(width, 3) : 1;
}

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
constexpr int A_LINE = LANES < 16 ? 16 / LANES : 1;  // vectors in a cache line

// A's word of row r at step k is a[r * row_stride + k * step_stride]. B has C columns, which are
// added to those of the N sums of a row that begin at FIRST.
template <class P, int FIRST, int C, int R, int N>
INLINE void accumulate_to(Vec (&acc)[R][N], const typename P::Word* a, ptrdiff_t row_stride,
                          ptrdiff_t step_stride, const typename P::Word* b, int steps) {
    for (int k = 0; k < steps; ++k, a += step_stride, b += C * LANES) {
        typename P::Vector columns[C];
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) columns[c] = P::load_words(b + c * LANES);
        if constexpr (R == 1)  // B is read once only, and from far away
            for (int c = 0; c < C; c += A_LINE)
                __builtin_prefetch(b + (AHEAD * C + c) * LANES);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            auto row = P::broadcast(a[r * row_stride]);
#pragma GCC unroll 4
            for (int c = 0; c < C; ++c)
                acc[r][FIRST + c] = P::multiply_add(row, columns[c], acc[r][FIRST + c]);
        }
    }
}
template <class P, int R, int C>
INLINE void accumulate(Vec (&acc)[R][C], const typename P::Word* a, ptrdiff_t row_stride,
                       ptrdiff_t step_stride, const typename P::Word* b, int steps) {
    accumulate_to<P, 0, C>(acc, a, row_stride, step_stride, b, steps);
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
INLINE void each_tile(int width, int begin, int end, F&& f) {
    const int rows = end - begin;
    if (rows <= 0) return;
    const int tiles = divide_up(rows, tile_rows(width));
    for (int tile = 0; tile < tiles; ++tile) {
        const int from = begin + part_start(rows, tiles, tile);
        f(from, begin + part_start(rows, tiles, tile + 1) - from);
    }
}
// The same with a number of rows that the compiler knows.
template <int WIDTH, class F>
INLINE void for_tiles(int begin, int end, F&& f) {
    each_tile(WIDTH, begin, end, [&](int from, int count) __attribute__((always_inline)) {
        with_constant<tile_rows(WIDTH)>(
            count, [&](auto rows) __attribute__((always_inline)) { f(from, rows); });
    });
}

// One term of a sum of products: rows of A in words, `stride` apart, and a panel of B. The steps
// along a row of A may be cut into runs, with words between them that B has no part in.
template <class P>
struct Term {
    const typename P::Word* a = nullptr;  // row 0
    ptrdiff_t stride = 0;
    const typename P::Word* b = nullptr;
    int steps = 0;  // of a run
    int runs = 1, next_run = 0;  // from the start of one to the next, in words

    Term from(int row) const { return {a + row * stride, stride, b, steps, runs, next_run}; }
    Term panel(int column) const {
        const auto before = static_cast<ptrdiff_t>(column) * steps * runs;
        return {a, stride, b + before, steps, runs, next_run};
    }
    // So many words of each row from `first` on; of a single run, of a panel of that width.
    Term cut(int first, int words, int width) const {
        return {a + first, stride, b + static_cast<ptrdiff_t>(first) * width * LANES, words};
    }
    template <int R, int C>
    INLINE void add_to(Vec (&sums)[R][C]) const {
        for (int run = 0; run < runs; ++run)
            accumulate<P>(sums, a + run * static_cast<ptrdiff_t>(next_run), stride, 1,
                          b + static_cast<ptrdiff_t>(run) * steps * C * LANES, steps);
    }
#if defined(__AMX_BF16__)
    void add_to(const Sums& sums, int rows, int width) const {
        for (int run = 0; run < runs && steps; ++run)
            add_tiles(rows, width, a + run * static_cast<ptrdiff_t>(next_run), stride,
                      b + static_cast<ptrdiff_t>(run) * steps * width * LANES, steps, sums);
    }
#endif
};

// No vector lives in a register across this. Otherwise constants of what follows a product would
// take registers that its loop needs for columns of B, which are then loaded once for each row.
INLINE void free_registers() {
#if defined(__x86_64__) && !defined(__AVX512F__)
    asm volatile("" ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                 "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
#endif
}

// The sums of a row that a term adds to.
template <int FROM, int COUNT>
struct Columns {
    static constexpr int FIRST = FROM, WIDTH = COUNT;
};

// For each tile of rows [from, to): start(row, sums), sums += A B for both terms, end(row, sums).
// The first term may be empty.
//
// Every tile reads the whole panel again, from the second-level cache where the first does not
// hold it: a step loads C vectors of it for R C products.
template <class P, int C, class First, class Second, class Start, class End>
INLINE void multiply_rows(int from, int to, const Term<P>& first, const Term<P>& second,
                          const Start& start, const End& end) {
    auto tile = [&](int row, auto rows) __attribute__((always_inline)) {
        Vec sums[rows][C];
        auto add = [&](const Term<P>& term, auto columns) __attribute__((always_inline)) {
            accumulate_to<P, columns.FIRST, columns.WIDTH>(
                sums, term.a + row * term.stride, term.stride, 1, term.b, term.steps);
        };
        free_registers();
        start(row, sums);
        add(first, First{});
        add(second, Second{});
        end(row, sums);
    };
    for_tiles<C>(from, to, tile);
}

// Memory that is going to be read: for each column of a tile so many bytes a row, one after the other.
struct Soon {
    const char* first = nullptr;
    ptrdiff_t next_column = 0;  // in bytes
    int bytes = 0;

    INLINE void prefetch(int rows, int columns) const {
        for (int c = 0; c < columns; ++c)
            for (int at = 0; at < rows * bytes; at += 64)
                __builtin_prefetch(first + c * next_column + at);
    }
};

// One tile of `width` vectors, into memory: sums start at `start`, with `next_start` floats from row
// to row, or at 0; sums += A B for the first term, sums *= scale, sums += A B for the second. The
// first term may be empty, `scale` null. What `soon` names is prefetched before the second term.
template <class P>
[[gnu::noinline]] void multiply_tile(int rows, int width, const Term<P>& first,
                                     const Term<P>& second, const Soon& soon, const float* start,
                                     ptrdiff_t next_start, const Vec* scale, float* result,
                                     ptrdiff_t stride) {
#if defined(__AMX_BF16__)
    auto each_vector = [&](auto&& f) {
        for (int r = 0; r < rows; ++r)
            for (int c = 0; c < width; ++c) f(result + r * stride + c * LANES, r, c);
    };
    if (start != result)
        each_vector([&](float* to, int r, int c) {
            store(to, start ? load(start + r * next_start + c * LANES) : Vec{});
        });
    first.add_to({result, stride, LANES}, rows, width);
    if (first.steps && scale)
        each_vector([&](float* to, int r, int c) { store(to, load(to) * scale[r * width + c]); });
    soon.prefetch(rows, width);
    second.add_to({result, stride, LANES}, rows, width);
#else
    with_constant<PANEL>(width, [&](auto columns) __attribute__((always_inline)) {
        constexpr int C = columns;
        with_constant<tile_rows(C)>(rows, [&](auto count) __attribute__((always_inline)) {
            constexpr int R = count;
            Vec sums[R][C];
            each<R, C>([&](int r, int c) {
                sums[r][c] = start ? load(start + r * next_start + c * LANES) : Vec{};
            });
            if (first.steps) {
                first.add_to(sums);
                if (scale) each<R, C>([&](int r, int c) { sums[r][c] *= scale[r * C + c]; });
            }
            soon.prefetch(R, C);
            second.add_to(sums);
            each<R, C>([&](int r, int c) { store(result + r * stride + c * LANES, sums[r][c]); });
        });
    });
#endif
}

// The same with products that are compiled once, for all cells: each row starts, and ends, in memory.
// Those of AMX end there in any case, and a few rows together hide the latency of what follows.
template <class P, int C, class First, class Second, class Start, class End>
INLINE void multiply_rows_apart(int from, int to, const Term<P>& first, const Term<P>& second,
                                const Start& start, const End& end) {
    constexpr int SOME = TILES ? 4 : 1;
    Vec sums[tile_rows(C) / SOME][SOME][C];
    Vec(*const each)[1][C] = reinterpret_cast<Vec(*)[1][C]>(sums);
    each_tile(C, from, to, [&](int row, int rows) {
        auto add = [&](const Term<P>& one, const Term<P>& other, int column, int width) {
            float* at = reinterpret_cast<float*>(sums) + column * LANES;
            multiply_tile<P>(rows, width, one.from(row), other.from(row), {}, at, C * LANES,
                             nullptr, at, C * LANES);
        };
        for (int r = 0; r < rows; ++r) start(row + r, each[r]);
        if constexpr (std::is_same_v<First, Second>) {
            add(first, second, First::FIRST, First::WIDTH);
        } else {
            add({}, first, First::FIRST, First::WIDTH);
            add({}, second, Second::FIRST, Second::WIDTH);
        }
        int r = 0;
        if constexpr (SOME > 1)
            for (; r + SOME <= rows; r += SOME) end(row + r, sums[r / SOME]);
        for (; r < rows; ++r) end(row + r, each[r]);
    });
}

}  // namespace charloom::CHARLOOM_ISA
