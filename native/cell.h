// The cell: what happens to one vector of units once its gates' sums are known.
//
// LSTM, with [i f g o] the four sums, c the article so far and h the headline:
//
//     c' = sigmoid(f) * c + sigmoid(i) * tanh(g)        C_t = fC_t + gi_t
//     h' = sigmoid(o) * tanh(c')
//
// A cell's tape is what its backward pass wants to know again: vectors side by side, in
// the order named below. `forward` fills the tape of this step from that of the step
// before and returns h'; `backward` turns the slope of the loss by h' (and by c', kept in
// `d_cell` from the later step) into that by the gates' sums.
#pragma once

#include "simd.h"

namespace charloom::CHARLOOM_ISA {

struct Lstm {
    static constexpr int GATES = 4;  // input, forget, candidate, output
    static constexpr int TAPE = 6;
    enum { I, F, G, O, CELL, TANH_CELL };
    static constexpr int KEPT = CELL;    // what is carried to the next step besides h
    static constexpr int QUANTITIES = 6;  // what a trace shows: i_t, f_t, g_t, o_t, C_t, h_t

    INLINE static Vec forward(const Vec (&sums)[GATES], const float* before, float* tape) {
        Vec i = sigmoid(sums[0]);
        Vec f = sigmoid(sums[1]);
        Vec g = hyperbolic_tangent(sums[2]);
        Vec o = sigmoid(sums[3]);
        Vec cell = f * load(before + CELL * LANES) + i * g;
        Vec tanh_cell = hyperbolic_tangent(cell);
        const Vec all[TAPE] = {i, f, g, o, cell, tanh_cell};
        for (int v = 0; v < TAPE; ++v) store(tape + v * LANES, all[v]);
        return o * tanh_cell;
    }

    INLINE static void quantities(const float* tape, Vec (&shown)[QUANTITIES]) {
        for (int v = I; v <= CELL; ++v) shown[v] = load(tape + v * LANES);
        shown[5] = shown[O] * load(tape + TANH_CELL * LANES);
    }

    INLINE static void backward(Vec d_hidden, float* d_cell, const float* before,
                                const float* tape, Vec (&d_sums)[GATES]) {
        const Vec one = fill(1.0f);
        Vec v[TAPE];
        for (int n = 0; n < TAPE; ++n) v[n] = load(tape + n * LANES);
        Vec d_c = fma(d_hidden * v[O], one - v[TANH_CELL] * v[TANH_CELL], load(d_cell));
        d_sums[0] = d_c * v[G] * (v[I] * (one - v[I]));
        d_sums[1] = d_c * load(before + CELL * LANES) * (v[F] * (one - v[F]));
        d_sums[2] = d_c * v[I] * (one - v[G] * v[G]);
        d_sums[3] = d_hidden * v[TANH_CELL] * (v[O] * (one - v[O]));
        store(d_cell, d_c * v[F]);
    }
};

// The plain RNN of the comparison: h' = tanh(sum).
struct Rnn {
    static constexpr int GATES = 1;
    static constexpr int TAPE = 1;
    static constexpr int KEPT = -1;
    static constexpr int QUANTITIES = 1;  // h_t

    INLINE static Vec forward(const Vec (&sums)[GATES], const float*, float* tape) {
        Vec hidden = hyperbolic_tangent(sums[0]);
        store(tape, hidden);
        return hidden;
    }

    INLINE static void quantities(const float* tape, Vec (&shown)[QUANTITIES]) {
        shown[0] = load(tape);
    }

    INLINE static void backward(Vec d_hidden, float*, const float*, const float* tape,
                                Vec (&d_sums)[GATES]) {
        Vec hidden = load(tape);
        d_sums[0] = d_hidden * (fill(1.0f) - hidden * hidden);
    }
};

}  // namespace charloom::CHARLOOM_ISA
