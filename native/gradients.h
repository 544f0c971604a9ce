// Weight gradients: sums over all rows of a batch, rows being its T x B positions.
//
// Each takes the vectors of columns [from, to), so that threads share the columns and no
// sum crosses threads; the order along the rows is always the same.
#pragma once

#include <algorithm>

#include "gemm.h"
#include "network.h"

namespace charloom::CHARLOOM_ISA {

// Rows in words, one after the other.
template <class P>
struct Rows {
    const typename P::Word* first;
    int words;  // of a row

    const typename P::Word* row(int r) const { return first + static_cast<size_t>(r) * words; }
};

// gradient[k][n] = sum over r of A[r][k] D[r][n], the product A^T D.
//
// `accumulate` wants words to run along the sum, which here runs down the rows. So a chunk
// of rows is turned: A to K rows of words, D to a panel. Where a word is a pair, it takes
// the values of two rows.
template <class P>
void transposed_product(float* gradient, int K, int N, Rows<P> a, Rows<P> d, int first_row,
                        int last_row, int from, int to) {
    using Word = typename P::Word;
    constexpr int STEPS = 256;  // words of a chunk; a panel of D is then 64 KiB
    constexpr int CHUNK = STEPS * P::PER_WORD;
    if (from == to) return;
    thread_local Buffer<Word> turned, panel_of_d, zeros;
    const int columns_of_a = round_up(K, LANES);
    turned.need(static_cast<size_t>(columns_of_a) * STEPS);
    panel_of_d.need(static_cast<size_t>(PANEL) * LANES * STEPS);
    zeros.need(std::max(a.words, d.words));

    const Panels panels(to - from, PANEL);
    for (int begin = first_row; begin < last_row; begin += CHUNK) {
        const int steps = divide_up(std::min(CHUNK, last_row - begin), P::PER_WORD);
        auto turn = [&](const Rows<P>& rows, int step, int column) {
            const Word* both[P::PER_WORD];
            for (int n = 0; n < P::PER_WORD; ++n) {
                const int r = begin + step * P::PER_WORD + n;
                both[n] = r < last_row ? rows.row(r) : zeros.data();
            }
            return P::interleave(both, column);
        };
        for (int step = 0; step < steps; ++step)
            for (int k = 0; k < columns_of_a; k += LANES) {
                const auto words = turn(a, step, k);
                for (int lane = 0; lane < LANES; ++lane)
                    turned[static_cast<size_t>(k + lane) * STEPS + step] = words[lane];
            }
        for (int panel = 0; panel < panels.count; ++panel)
            with_constant<PANEL>(panels.width(panel), [&](auto width) {
                constexpr int C = decltype(width)::value;
                const int column = (from + panels.start(panel)) * LANES;
                for (int step = 0; step < steps; ++step)
                    for (int c = 0; c < C; ++c)
                        store_as(&panel_of_d[(static_cast<size_t>(step) * C + c) * LANES],
                                 turn(d, step, column + c * LANES));
                for_tiles(0, K, [&](int k, auto tile) {
                    constexpr int R = decltype(tile)::value;
                    float* g = gradient + static_cast<size_t>(k) * N + column;
                    Vec sums[R][C] = {};
                    if (begin > first_row)
#pragma GCC unroll 6
                        for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
                            for (int c = 0; c < C; ++c)
                                sums[r][c] = load(g + static_cast<size_t>(r) * N + c * LANES);
                    accumulate_long<P, R, C>(sums, &turned[static_cast<size_t>(k) * STEPS],
                                             STEPS, panel_of_d.data(), steps);
#pragma GCC unroll 6
                    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
                        for (int c = 0; c < C; ++c)
                            store(g + static_cast<size_t>(r) * N + c * LANES, sums[r][c]);
                });
            });
    }
}

// gradient[n] = sum over r of D[r][n]: that of a bias.
template <class P>
void column_sums(float* gradient, Rows<P> d, int first_row, int last_row, int from, int to) {
    for (int column = from * LANES; column < to * LANES; column += LANES) {
        Vec total{};
        for (int r = first_row; r < last_row; ++r) total += P::get(d.row(r), column);
        store(gradient + column, total);
    }
}

// gradient[ids[r]][n] += slope(r, n): that of a table whose rows were gathered.
template <class F>
void scatter(float* gradient, int K, int N, const int32_t* ids, int rows, int from, int to,
             F&& slope) {
    for (int k = 0; k < K; ++k)
        std::fill(gradient + static_cast<size_t>(k) * N + from * LANES,
                  gradient + static_cast<size_t>(k) * N + to * LANES, 0.0f);
    for (int r = 0; r < rows; ++r) {
        float* row = gradient + static_cast<size_t>(ids[r]) * N;
        for (int column = from * LANES; column < to * LANES; column += LANES)
            store(row + column, load(row + column) + slope(r, column));
    }
}

}  // namespace charloom::CHARLOOM_ISA
