// The LSTM: what happens to one vector of units once its four sums are known.
//
// With [i f g o] the sums, c the cell state (the newspaper's article) and h the hidden state (its
// headline):
//
//     c' = sigmoid(f) * c + sigmoid(i) * tanh(g)        C_t = fC_t + gi_t
//     h' = sigmoid(o) * tanh(c')
//
// The tape holds the derivatives of c' and h' by each sum and by c. With i f g o for the gates
// themselves, they are
//
//     dc'/d[i f g] = [ig (1 - i), fc (1 - f), i (1 - g^2)]      dc'/dc = f
//     dh'/do = h' (1 - o)                                       dh'/dc' = o (1 - tanh^2 c')
//
// and are computed where all their factors are in registers. With products in bfloat16 each takes
// 16 bits (see `put_pair` in precision.h): the gradients are rounded anyway, and the tape is most of
// what training writes to memory and reads again. The carry, c, stays float32.
#include "network/define_cell.h"

namespace charloom::CHARLOOM_ISA {

struct Lstm {
    static constexpr int SUMS = 4;  // input, forget, candidate, output
    static constexpr bool FUSED = true;
    static constexpr int INPUT[] = {0, 1, 2, 3}, RECURRENT[] = {0, 1, 2, 3}, BIAS[] = {0, 1, 2, 3};
    static constexpr int PAIRS = 3;
    static constexpr Carry CARRY = Carry::cell;
    static constexpr int QUANTITIES = 6;  // i_t, f_t, g_t, o_t, C_t, h_t

    // A row's tanh c' is computed together with the gates of the next row: alone it would be a chain
    // of a dozen and a half operations that each wait for the one before.
    template <class P, bool TAPED, int R, class Done>
    INLINE static void forward(const Vec (&sums)[R][SUMS], float* carry, ptrdiff_t next_carry,
                               typename P::Word* tape, ptrdiff_t next_tape, Done&& done) {
        Vec i, f, g, o, c;  // of the row that was begun last
        auto begin_row = [&](int r, Vec i_r, Vec f_r, Vec o_r, Vec g_r)
                             __attribute__((always_inline)) {
            i = i_r, f = f_r, o = o_r, g = g_r;
            const Vec kept = f * load(carry + r * next_carry), added = i * g;
            c = kept + added;
            store(carry + r * next_carry, c);
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
        Vec gates[SUMS] = {sums[0][0], sums[0][1], sums[0][3], sums[0][2]};
        P::template squash_sums<3>(gates);
        begin_row(0, gates[0], gates[1], gates[2], gates[3]);
#pragma GCC unroll 8
        for (int r = 1; r < R; ++r) {
            Vec x[SUMS + 1] = {sums[r][0], sums[r][1], sums[r][3], sums[r][2], c};
            P::template squash_sums<3>(x);
            end_row(r - 1, x[SUMS]);
            begin_row(r, x[0], x[1], x[2], x[3]);
        }
        Vec tanh_c[1] = {c};
        P::template squash_sums<0>(tanh_c);
        end_row(R - 1, tanh_c[0]);
    }

    template <class P>
    INLINE static void backward(Vec d_hidden, float* d_carry, const typename P::Word* tape,
                                Vec (&d_sums)[SUMS]) {
        Vec by_i, by_f, by_g, by_o, by_c, f;
        P::pair(tape, by_i, by_f);
        P::gate_pair(tape + P::PAIR, f, by_g);
        P::pair(tape + 2 * P::PAIR, by_o, by_c);
        const Vec d_c = fma(d_hidden, by_c, load(d_carry));
        d_sums[0] = d_c * by_i;
        d_sums[1] = d_c * by_f;
        d_sums[2] = d_c * by_g;
        d_sums[3] = d_hidden * by_o;
        store(d_carry, d_c * f);
    }
};

}  // namespace charloom::CHARLOOM_ISA

CHARLOOM_CELL(lstm, Lstm)
