// Weight gradients: sums over all rows of a batch, rows being its T x B positions.
//
// Each computes the strips [from, to) of a gradient (see packing.h), so that threads share them and
// no sum crosses threads; the order along the rows is always the same.
#pragma once

#include <algorithm>
#include <vector>

#include "kernels/packing.h"
#include "support/buffer.h"

namespace charloom::CHARLOOM_ISA {

// Rows in words, one after the other.
template <class P>
struct Rows {
    const typename P::Word* first;
    int words;  // of a row

    const typename P::Word* row(int r) const { return first + static_cast<size_t>(r) * words; }
};

// f(first strip, width in vectors) for panels of the strips [from, to) that lie side by side in D.
template <class F>
INLINE void each_panel(const Runs& in_d, int from, int to, F&& f) {
    for (int strip = from; strip < to;) {
        const int end = std::min(to, in_d.end(strip));
        for_panels(Panels(end - strip, PANEL),
                   [&](int column, auto width) { f(strip + column / LANES, width); });
        strip = end;
    }
}

// A chunk of A, packed for products A^T D, and those products.
template <class P, int STEPS>
struct PackedChunk {
    using Word = typename P::Word;
    static constexpr int WIDE = TILES ? 32 : (LANES == 16 ? 1 : 3) * LANES;  // columns side by side
    static constexpr size_t PANEL_OF_A = WIDE * STEPS + LANES;  // no power of two: caches have sets
    static constexpr size_t ROW = STEPS + LANES;                // of a column, for AMX

    Buffer<Word> words;

    void need(int K) {
        words.need(TILES ? ROW * round_up(K, WIDE) : PANEL_OF_A * divide_up(K, WIDE));
    }

    // So many steps as are packed of a chunk: AMX takes 16 together.
    static int whole(int steps) { return TILES ? round_up(steps, 16) : steps; }

    // `rows_at` finds the rows of a step.
    template <class F>
    void pack(int K, int steps, F&& rows_at) {
        const Word* both[P::PER_WORD];
        // put(n, words) for a vector of columns from k on, and the next one if there is one
        auto each_vector = [&](int k, auto&& put) __attribute__((always_inline)) {
            if (k + LANES < K)
                P::template interleave<2>(both, k, put);
            else
                P::template interleave<1>(both, k, put);
        };
        if constexpr (TILES) {  // a column's words lie side by side
            for (int first = 0; first < steps; first += LANES)
                for (int k = 0; k < K; k += 2 * LANES) {
                    typename P::Vector squares[2][LANES] = {};
                    for (int n = 0; n < LANES; ++n) {
                        rows_at(first + n, both);
                        each_vector(k, [&](int half, auto vector) { squares[half][n] = vector; });
                    }
                    for (int half = 0; half < 2; ++half) {
                        transpose(squares[half]);
                        for (int n = 0; n < LANES; ++n)
                            store_as(&words[(k + half * LANES + n) * ROW + first],
                                     squares[half][n]);
                    }
                }
        } else {
            for (int step = 0; step < steps; ++step) {
                rows_at(step, both);
                for (int k = 0; k < K; k += 2 * LANES)
                    each_vector(k, [&](int n, auto vector) {
                        const int at = k + n * LANES;
                        store_as(&words[at / WIDE * PANEL_OF_A + step * WIDE + at % WIDE], vector);
                    });
            }
        }
    }

    // The gradient's rows [k, end), within a panel, of C strips; added to what is there, or not.
    template <int C>
    void multiply(int k, int end, const Word* panel_of_d, int steps, const Strips<float>& gradient,
                  int strip, bool add) const {
#if defined(__AMX_BF16__)
        if (!add)
            for (int c = 0; c < C; ++c)
                for (int row = k; row < end; ++row) store(gradient.at(row, strip + c), Vec{});
        add_tiles(end - k, C, &words[k * ROW], ROW, panel_of_d, steps,
                  {gradient.at(k, strip), LANES, gradient.at(0, 1) - gradient.at(0, 0)});
#else
        for_tiles<C>(k, end, [&](int row, auto rows) {
            constexpr int R = decltype(rows)::value;
            auto at = [&](int r, int c) { return gradient.at(row + r, strip + c); };
            Vec sums[R][C] = {};
            if (add) each<R, C>([&](int r, int c) { sums[r][c] = load(at(r, c)); });
            accumulate<P>(sums, &words[k / WIDE * PANEL_OF_A + row - k], 1, WIDE, panel_of_d,
                          steps);
            each<R, C>([&](int r, int c) { store(at(r, c), sums[r][c]); });
        });
#endif
    }
};

// gradient[k][n] = sum over r of A[r][k] D[r][n], the product A^T D.
//
// The sum runs down the rows. So a chunk of them is packed, A and D alike, in panels along
// their columns; where a word is a pair, it takes the values of two rows. A tile then reads
// A's words for one step side by side. `in_d` says which columns of D are the gradient's.
template <class P>
void transposed_product(Strips<float> gradient, Rows<P> a, Rows<P> d, Runs in_d, int first_row,
                        int last_row, int from, int to) {
    using Word = typename P::Word;
    const int K = gradient.rows;
    constexpr int STEPS = 256;  // of a chunk: where a vector is 64 bytes, 64 KiB of D and 16 of A
    constexpr int ROWS = STEPS * P::PER_WORD;
    if (from == to) return;
    thread_local PackedChunk<P, STEPS> packed_a;
    thread_local Buffer<Word> panel_of_d, zeros;
    packed_a.need(K);
    panel_of_d.need(static_cast<size_t>(PANEL) * LANES * STEPS);
    zeros.need(std::max(a.words, d.words));

    for (int begin = first_row; begin < last_row; begin += ROWS) {
        const int steps = packed_a.whole(divide_up(std::min(ROWS, last_row - begin), P::PER_WORD));
        // Rows of D or A of a step, of which some may be past the end.
        auto rows_at = [&](const Rows<P>& rows, int step, const Word* (&found)[P::PER_WORD])
                           __attribute__((always_inline)) {
            for (int n = 0; n < P::PER_WORD; ++n) {
                const int r = begin + step * P::PER_WORD + n;
                found[n] = r < last_row ? rows.row(r) : zeros.data();
            }
        };
        packed_a.pack(K, steps, [&](int step, auto& found) __attribute__((always_inline)) {
            rows_at(a, step, found);
        });
        each_panel(in_d, from, to, [&](int strip, auto width) {
            constexpr int C = decltype(width)::value;
            const int column = in_d.place(strip) * LANES;
            Word* panel = panel_of_d.data();
            for (int step = 0; step < steps; ++step, panel += C * LANES) {
                const Word* both[P::PER_WORD];
                rows_at(d, step, both);
                P::template interleave<C>(both, column, [&](int c, auto words) {
                    store_as(panel + c * LANES, words);
                });
            }
            // The next panel of D consists of pieces of rows, too far apart for a processor to
            // prefetch by itself. Each panel of A prefetches its share.
            const int next = in_d.place(strip + C) * LANES, shares = divide_up(K, packed_a.WIDE);
            auto prefetch_next = [&](int share) {
                const int rows = strip + C < to ? std::min(ROWS, last_row - begin) : 0;
                for (int r = part_start(rows, shares, share);
                     r < part_start(rows, shares, share + 1); ++r) {
                    const Word* piece = d.row(begin + r) + next / P::PER_WORD;
                    for (int n = 0; n < PANEL * LANES / P::PER_WORD; n += LANES)
                        __builtin_prefetch(piece + n, 0, 2);
                }
            };
            for (int k = 0; k < K; k += packed_a.WIDE) {
                prefetch_next(k / packed_a.WIDE);
                packed_a.template multiply<C>(k, std::min(K, k + packed_a.WIDE), panel_of_d.data(),
                                              steps, gradient, strip, begin > first_row);
            }
        });
    }
}

// gradient[n] = sum over r of D[r][n]: a bias's. A few columns at a time, since each addition waits
// for the one before it.
template <class P>
void column_sums(Strips<float> gradient, Rows<P> d, int first_row, int last_row, int from,
                 int to) {
    constexpr int FEW = 8;
    for (int first = from; first < to; first += FEW)
        with_constant<FEW>(std::min(FEW, to - first), [&](auto count) {
            Vec totals[count] = {};
            for (int r = first_row; r < last_row; ++r)
                P::add_row(d.row(r), first * LANES, totals);
            P::sort_sums(totals);
            for (int c = 0; c < count; ++c) store(gradient.at(0, first + c), totals[c]);
        });
}

// The rows of a batch, ordered by the id that each of them read.
struct RowsById {
    std::vector<int> rows;
    std::vector<int> start;  // of an id's rows; one more, the end

    void order(const int32_t* ids, int count, int vocabulary) {
        rows.resize(count);
        start.assign(vocabulary + 2, 0);
        for (int r = 0; r < count; ++r) ++start[ids[r] + 2];
        for (int v = 2; v < vocabulary + 2; ++v) start[v] += start[v - 1];
        for (int r = 0; r < count; ++r) rows[start[ids[r] + 1]++] = r;
    }
};

// gradient[id][n] = sum of D[r][n] over the rows that read this id: the gradient of a table whose
// rows were gathered. Its sum over all ids, if `total` is given, is the gradient of a bias.
template <class P>
void scatter(Strips<float> gradient, const Strips<float>* total, const RowsById& by_id, Rows<P> d,
             int from, int to) {
    const int ids = static_cast<int>(by_id.start.size()) - 2;
    constexpr int FEW = 8;
    for (int first = from; first < to; first += FEW)
        with_constant<FEW>(std::min(FEW, to - first), [&](auto count) {
            Vec totals[count] = {};
            for (int id = 0; id < ids; ++id) {
                Vec sums[count] = {};
                for (int n = by_id.start[id]; n < by_id.start[id + 1]; ++n)
                    P::add_row(d.row(by_id.rows[n]), first * LANES, sums);
                P::sort_sums(sums);
                for (int c = 0; c < count; ++c) {
                    store(gradient.at(id, first + c), sums[c]);
                    totals[c] += sums[c];
                }
            }
            if (total)
                for (int c = 0; c < count; ++c) store(total->at(0, first + c), totals[c]);
        });
}

}  // namespace charloom::CHARLOOM_ISA
