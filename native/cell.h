// The cell: what happens to one vector of units once its gates' sums are known.
//
// LSTM, with [i f g o] the four sums, c the article so far and h the headline:
//
//     c' = sigmoid(f) * c + sigmoid(i) * tanh(g)        C_t = fC_t + gi_t
//     h' = sigmoid(o) * tanh(c')
//
// A cell's tape is what its backward pass wants to know again of one step. Where products are
// bfloat16, it takes 16 bits a number (see `keep` in gemm.h): slopes are rounded anyway, and the
// tape is most of what training writes to memory and reads again. What is carried to the next
// step, c, stays float32 beside it.
//
// `forward` takes the rows of a tile, fills their tapes, unless there are none, and gives what a
// trace shows of each to `done(row, shown)`, h' as the last of it. `cell` and `tape` are those of
// row 0, with the way to the next row's. `backward` turns the slope of the loss by h' (and by c',
// kept in `d_cell` from the later step) into that by the gates' sums, with the tapes of the step
// before and of this one.
#pragma once

#include "gemm.h"

namespace charloom::CHARLOOM_ISA {

struct Lstm {
    static constexpr int GATES = 4;  // input, forget, candidate, output
    static constexpr int TAPE = 6;   // i f g o tanh c, and c
    static constexpr bool HAS_CELL = true;
    static constexpr int QUANTITIES = 6;  // what a trace shows: i_t, f_t, g_t, o_t, C_t, h_t

    // A row's tanh c' is computed beside the gates of the next row. By itself it would be waited
    // for: its dozen and a half operations each need the one before.
    template <class P, int R, class Done>
    INLINE static void forward(const Vec (&sums)[R][GATES], float* cell, ptrdiff_t next_cell,
                               typename P::Word* tape, ptrdiff_t next_tape, Done&& done) {
        Vec i, f, g, o, c;  // of the row that was begun last
        auto begin_row = [&](int r, Vec i_r, Vec f_r, Vec o_r, Vec g_r)
                             __attribute__((always_inline)) {
            i = i_r, f = f_r, o = o_r, g = g_r;
            c = f * load(cell + r * next_cell) + i * g;
            store(cell + r * next_cell, c);
        };
        auto end_row = [&](int r, Vec tanh_c) __attribute__((always_inline)) {
            if (tape) P::keep(tape + r * next_tape, {i, f, g, o, tanh_c}, c);
            const Vec shown[QUANTITIES] = {i, f, g, o, c, o * tanh_c};
            done(r, shown);
        };
        Vec gates[GATES] = {sums[0][0], sums[0][1], sums[0][3], sums[0][2]};
        squash<3>(gates);
        begin_row(0, gates[0], gates[1], gates[2], gates[3]);
#pragma GCC unroll 8
        for (int r = 1; r < R; ++r) {
            Vec x[GATES + 1] = {sums[r][0], sums[r][1], sums[r][3], sums[r][2], c};
            squash<3>(x);
            end_row(r - 1, x[GATES]);
            begin_row(r, x[0], x[1], x[2], x[3]);
        }
        Vec tanh_c[1] = {c};
        squash<0>(tanh_c);
        end_row(R - 1, tanh_c[0]);
    }

    // The tape of the step before the first, of which only c matters.
    template <class P>
    static void begin(const float* cell, typename P::Word* tape) {
        const Vec nothing[TAPE - 1] = {};
        P::keep(tape, nothing, load(cell));
    }

    template <class P>
    INLINE static void backward(Vec d_hidden, float* d_cell, const typename P::Word* before,
                                const typename P::Word* tape, Vec (&d_sums)[GATES]) {
        const Vec one = fill(1.0f);
        Vec gates[TAPE - 1], unused[TAPE - 1], c, c_before;
        P::kept(before, unused, c_before);
        P::kept(tape, gates, c);
        const auto& [i, f, g, o, tanh_c] = gates;
        Vec d_c = fma(d_hidden * o, one - tanh_c * tanh_c, load(d_cell));
        d_sums[0] = d_c * g * (i * (one - i));
        d_sums[1] = d_c * c_before * (f * (one - f));
        d_sums[2] = d_c * i * (one - g * g);
        d_sums[3] = d_hidden * tanh_c * (o * (one - o));
        store(d_cell, d_c * f);
    }
};

// The plain RNN of the comparison: h' = tanh(sum).
struct Rnn {
    static constexpr int GATES = 1;
    static constexpr int TAPE = 2;  // h, and nothing
    static constexpr bool HAS_CELL = false;
    static constexpr int QUANTITIES = 1;  // h_t

    template <class P, int R, class Done>
    INLINE static void forward(const Vec (&sums)[R][GATES], float*, ptrdiff_t,
                               typename P::Word* tape, ptrdiff_t next_tape, Done&& done) {
        Vec hidden[R];
        range<0, R>([&](int r) { hidden[r] = sums[r][0]; });
        squash<0>(hidden);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const Vec shown[QUANTITIES] = {hidden[r]};
            if (tape) P::keep(tape + r * next_tape, shown, Vec{});
            done(r, shown);
        }
    }

    template <class P>
    static void begin(const float*, typename P::Word*) {}

    template <class P>
    INLINE static void backward(Vec d_hidden, float*, const typename P::Word*,
                                const typename P::Word* tape, Vec (&d_sums)[GATES]) {
        Vec hidden[1], nothing;
        P::kept(tape, hidden, nothing);
        d_sums[0] = d_hidden * (fill(1.0f) - hidden[0] * hidden[0]);
    }
};

}  // namespace charloom::CHARLOOM_ISA
