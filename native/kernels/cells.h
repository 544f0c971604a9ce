// The cell: what happens to one vector of units once its gates' sums are known.
//
// LSTM, with [i f g o] the four sums, c the article so far and h the headline:
//
//     c' = sigmoid(f) * c + sigmoid(i) * tanh(g)        C_t = fC_t + gi_t
//     h' = sigmoid(o) * tanh(c')
//
// A cell's tape is what its backward pass wants to know of one step: how fast c' and h' change with
// each sum and with c. With i f g o for the gates themselves, it is
//
//     dc'/d[i f g] = [ig (1 - i), fc (1 - f), i (1 - g^2)]      dc'/dc = f
//     dh'/do = h' (1 - o)                                       dh'/dc' = o (1 - tanh^2 c')
//
// and is computed where all that it is made of is at hand. Where products are bfloat16, it takes
// 16 bits a number (see `put_pair` in gemm.h): slopes are rounded anyway, and the tape is most of
// what training writes to memory and reads again. What is carried to the next step, c, stays
// float32.
//
// `forward` takes the rows of a tile, fills their tapes, if there are any, and gives what a trace
// shows of each to `done(row, shown)`, h' as the last of it. `cell` and `tape` are those of
// row 0, with the way to the next row's. `backward` turns the slope of the loss by h' (and by c',
// kept in `d_cell` from the later step) into that by the gates' sums.
#pragma once

#include "kernels/product.h"

namespace charloom::CHARLOOM_ISA {

struct Lstm {
    static constexpr int GATES = 4;  // input, forget, candidate, output
    static constexpr int PAIRS = 3;  // of derivatives on the tape
    static constexpr bool HAS_CELL = true;
    static constexpr int QUANTITIES = 6;  // what a trace shows: i_t, f_t, g_t, o_t, C_t, h_t

    // A row's tanh c' is computed beside the gates of the next row. By itself it would be waited
    // for: its dozen and a half operations each need the one before.
    template <class P, bool TAPED, int R, class Done>
    INLINE static void forward(const Vec (&sums)[R][GATES], float* cell, ptrdiff_t next_cell,
                               typename P::Word* tape, ptrdiff_t next_tape, Done&& done) {
        Vec i, f, g, o, c;  // of the row that was begun last
        auto begin_row = [&](int r, Vec i_r, Vec f_r, Vec o_r, Vec g_r)
                             __attribute__((always_inline)) {
            i = i_r, f = f_r, o = o_r, g = g_r;
            const Vec kept = f * load(cell + r * next_cell), added = i * g;
            c = kept + added;
            store(cell + r * next_cell, c);
            if (!TAPED) return;
            P::put_pair(tape + r * next_tape, fnma(added, i, added), fnma(kept, f, kept));
            P::put_gate_pair(tape + r * next_tape + P::PAIR, f, fnma(added, g, i));
        };
        auto end_row = [&](int r, Vec tanh_c) __attribute__((always_inline)) {
            const Vec hidden = o * tanh_c;
            if (TAPED)
                P::put_pair(tape + r * next_tape + 2 * P::PAIR, fnma(hidden, o, hidden),
                            fnma(hidden, tanh_c, o));
            const Vec shown[QUANTITIES] = {i, f, g, o, c, hidden};
            done(r, shown);
        };
        Vec gates[GATES] = {sums[0][0], sums[0][1], sums[0][3], sums[0][2]};
        P::template squash_sums<3>(gates);
        begin_row(0, gates[0], gates[1], gates[2], gates[3]);
#pragma GCC unroll 8
        for (int r = 1; r < R; ++r) {
            Vec x[GATES + 1] = {sums[r][0], sums[r][1], sums[r][3], sums[r][2], c};
            P::template squash_sums<3>(x);
            end_row(r - 1, x[GATES]);
            begin_row(r, x[0], x[1], x[2], x[3]);
        }
        Vec tanh_c[1] = {c};
        P::template squash_sums<0>(tanh_c);
        end_row(R - 1, tanh_c[0]);
    }

    template <class P>
    INLINE static void backward(Vec d_hidden, float* d_cell, const typename P::Word* tape,
                                Vec (&d_sums)[GATES]) {
        Vec by_i, by_f, by_g, by_o, by_c, f;
        P::pair(tape, by_i, by_f);
        P::gate_pair(tape + P::PAIR, f, by_g);
        P::pair(tape + 2 * P::PAIR, by_o, by_c);
        const Vec d_c = fma(d_hidden, by_c, load(d_cell));
        d_sums[0] = d_c * by_i;
        d_sums[1] = d_c * by_f;
        d_sums[2] = d_c * by_g;
        d_sums[3] = d_hidden * by_o;
        store(d_cell, d_c * f);
    }
};

// The plain RNN of the comparison: h' = tanh(sum).
struct Rnn {
    static constexpr int GATES = 1;
    static constexpr int PAIRS = 1;  // 1 - h'^2, and nothing
    static constexpr bool HAS_CELL = false;
    static constexpr int QUANTITIES = 1;  // h_t

    template <class P, bool TAPED, int R, class Done>
    INLINE static void forward(const Vec (&sums)[R][GATES], float*, ptrdiff_t,
                               typename P::Word* tape, ptrdiff_t next_tape, Done&& done) {
        Vec hidden[R];
        range<0, R>([&](int r) { hidden[r] = sums[r][0]; });
        P::template squash_sums<0>(hidden);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const Vec shown[QUANTITIES] = {hidden[r]};
            if (TAPED)
                P::put_pair(tape + r * next_tape, fnma(hidden[r], hidden[r], fill(1.0f)), Vec{});
            done(r, shown);
        }
    }

    template <class P>
    INLINE static void backward(Vec d_hidden, float*, const typename P::Word* tape,
                                Vec (&d_sums)[GATES]) {
        Vec by_sum, nothing;
        P::pair(tape, by_sum, nothing);
        d_sums[0] = d_hidden * by_sum;
    }
};

}  // namespace charloom::CHARLOOM_ISA
