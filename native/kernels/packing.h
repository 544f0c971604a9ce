// Matrices in strips, as they are stored, and packed in panels, as products read them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>

#include "kernels/product.h"

namespace charloom::CHARLOOM_ISA {

// Where the panels of a matrix begin: `vectors` columns of vectors in `count` even runs.
struct Panels {
    int vectors = 0;
    int count = 0;

    Panels() = default;
    Panels(int vectors, int widest) : vectors(vectors), count(divide_up(vectors, widest)) {}
    int start(int panel) const { return part_start(vectors, count, panel); }
    int width(int panel) const { return start(panel + 1) - start(panel); }
    // The panel that a column is in. Divisions are slow: none is made for each column or panel of a
    // matrix where a step of few rows packs it anew.
    int of(int vector) const {
        return static_cast<int>((static_cast<long>(vector + 1) * count - 1) / vectors);
    }
};

// f(first column, width in vectors) for each panel, the width known to the compiler.
template <class F>
INLINE void for_panels(const Panels& panels, F&& f) {
    for (int panel = 0; panel < panels.count; ++panel)
        with_constant<PANEL>(panels.width(panel),
                             [&](auto width) { f(panels.start(panel) * LANES, width); });
}

// A matrix of floats as it is stored: cut into strips, a strip being one vector of columns.
//
//     strip 0:  row 0 [columns 0..15]  row 1 [0..15] ...    strip 1:  row 0 [16..31] ...
//
// Threads share a matrix by its strips, so that what one of them writes lies apart from what another
// writes. Where their rows alternate in memory, a prefetcher takes lines from the core that is about
// to write them.
template <class Float>
struct Strips {
    Float* first;
    int rows;

    Float* at(int row, int strip) const {
        return first + (static_cast<size_t>(strip) * rows + row) * LANES;
    }
};

// Where the strips of a matrix are among others: `width` of every `of`, from `first` on; all by
// default.
struct Runs {
    int width = 1, of = 1, first = 0;

    bool whole() const { return width == of; }
    int place(int strip) const { return strip / width * of + first + strip % width; }
    // The end of the run of strips that lie side by side from this one on.
    int end(int strip) const { return whole() ? INT32_MAX : (strip / width + 1) * width; }
};

// Pack rows [first, last) of strips [from, to) of W (K x N) for products A W: panels along N,
// words along K. `first` is a multiple of LANES, and so is `last` unless it is K.
template <class P>
inline void pack_rows(Strips<const float> w, const Panels& panels, int first, int last, int from,
                      int to, typename P::Word* packed) {
    const size_t steps = divide_up(w.rows, P::PER_WORD);
    for (int c = from; c < to;) {
        const int panel = panels.of(c), start = panels.start(panel), width = panels.width(panel);
        for (; c < std::min(to, start + width); ++c)
            for (int k = first; k < last; k += P::PER_WORD)
                stream_as(packed + (start * steps + k / P::PER_WORD * width + c - start) * LANES,
                         P::words_down(w.at(k, c), k + 1 < w.rows ? w.at(k + 1, c) : nullptr));
    }
}

// Transposes a square of LANES x LANES words. In each round, the off-diagonal halves of squares of
// 2 HALF x 2 HALF change places.
template <int HALF, class V, int... LANE>
INLINE void transpose_round(V (&rows)[LANES], std::integer_sequence<int, LANE...> lanes) {
#pragma GCC unroll 16
    for (int r = 0; r < LANES; ++r) {
        if (r & HALF) continue;
        const V a = rows[r], b = rows[r + HALF];
        rows[r] = __builtin_shufflevector(a, b, (LANE & HALF ? LANES + LANE - HALF : LANE)...);
        rows[r + HALF] =
            __builtin_shufflevector(a, b, (LANE & HALF ? LANES + LANE : LANE + HALF)...);
    }
    if constexpr (HALF > 1) transpose_round<HALF / 2>(rows, lanes);
}
template <class V>
INLINE void transpose(V (&rows)[LANES]) {
    transpose_round<LANES / 2>(rows, std::make_integer_sequence<int, LANES>{});
}

// The same for products D W^T: panels along K, words along N. Columns past K are zero.
template <class P>
inline void pack_columns(Strips<const float> w, int strips, const Panels& panels, int first,
                         int last, int from, int to, typename P::Word* packed) {
    const size_t steps = static_cast<size_t>(strips) * LANES / P::PER_WORD;
    int start = 0, width = 0;  // of the panel that k is in
    for (int k = first; k < last; k += LANES) {
        if (k >= start + width) {
            const int panel = panels.of(k / LANES);
            start = panels.start(panel) * LANES, width = panels.width(panel) * LANES;
        }
        for (int c = from; c < to; c += P::PER_WORD) {
            const int together = std::min(P::PER_WORD, to - c);
            typename P::Vector square[LANES];
            for (int r = 0; r < LANES; ++r)
                square[r] = k + r < w.rows
                                ? P::words(w.at(k + r, c), together > 1 ? w.at(k + r, c + 1) : nullptr)
                                : typename P::Vector{};
            transpose(square);
            const int n = c * LANES / P::PER_WORD, rows = together * LANES / P::PER_WORD;
            for (int r = 0; r < rows; ++r)
                stream_as(packed + start * steps + (n + r) * width + (k - start), square[r]);
        }
    }
}

// So many rows of A B, B all panels of a matrix, plus a bias if there is one, as floats.
template <class P>
void multiply(const Panels& panels, const Term<P>& all, int rows, const float* bias, float* result,
              ptrdiff_t stride) {
    for (int panel = 0; panel < panels.count; ++panel) {
        const int column = panels.start(panel) * LANES, width = panels.width(panel);
        const Term<P> term = all.panel(column);
        each_tile(width, 0, rows, [&](int row, int count) {
            multiply_tile<P>(count, width, {}, term.from(row), {}, bias ? bias + column : nullptr, 0,
                             nullptr, result + row * stride + column, stride);
        });
    }
}

}  // namespace charloom::CHARLOOM_ISA
