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
// `forward` fills the tape, unless there is none, and returns h'; `backward` turns the slope
// of the loss by h' (and by c', kept in `d_cell` from the later step) into that by the gates'
// sums, with the tapes of the step before and of this one.
#pragma once

#include "gemm.h"

namespace charloom::CHARLOOM_ISA {

struct Lstm {
    static constexpr int GATES = 4;  // input, forget, candidate, output
    static constexpr int TAPE = 6;   // i f g o tanh c, and c
    static constexpr bool HAS_CELL = true;
    static constexpr int QUANTITIES = 6;  // what a trace shows: i_t, f_t, g_t, o_t, C_t, h_t

    template <class P>
    INLINE static Vec forward(const Vec (&sums)[GATES], float* cell, typename P::Word* tape,
                              Vec (&shown)[QUANTITIES]) {
        Vec gates[GATES] = {sums[0], sums[1], sums[3], sums[2]};
        squash<3>(gates);
        const Vec i = gates[0], f = gates[1], o = gates[2], g = gates[3];
        const Vec c = f * load(cell) + i * g;
        Vec tanh_c[1] = {c};
        squash<0>(tanh_c);
        const Vec h = o * tanh_c[0];
        store(cell, c);
        if (tape) P::keep(tape, {i, f, g, o, tanh_c[0]}, c);
        const Vec all[QUANTITIES] = {i, f, g, o, c, h};
        range<0, QUANTITIES>([&](int q) { shown[q] = all[q]; });
        return h;
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

    template <class P>
    INLINE static Vec forward(const Vec (&sums)[GATES], float*, typename P::Word* tape,
                              Vec (&shown)[QUANTITIES]) {
        shown[0] = sums[0];
        squash<0>(shown);
        if (tape) P::keep(tape, shown, Vec{});
        return shown[0];
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
