// The GRU, in the form of PyTorch and Keras: the reset gate weighs what was multiplied with h.
//
// With [n r z m] the sums, m that of the candidate's recurrent weights and their bias, and h the
// state, which is all that is handed on:
//
//     c  = tanh(n + sigmoid(r) m)
//     h' = c + sigmoid(z) (h - c)
//
// Input weights add to the first three sums, recurrent weights to the last three. The tape holds the
// derivatives of h'. With r and z for the gates themselves, they are
//
//     dh'/dn = (1 - z) (1 - c^2)     dh'/dm = r dh'/dn     dh'/dr = m r (1 - r) dh'/dn
//     dh'/dz = (h - c) z (1 - z)     dh'/dh = z
#include "network/define_cell.h"

namespace charloom::CHARLOOM_ISA {

struct Gru {
    static constexpr int SUMS = 4;  // candidate from the input, reset, update, candidate from h
    static constexpr bool FUSED = false;
    static constexpr int INPUT[] = {1, 2, 0}, RECURRENT[] = {1, 2, 3}, BIAS[] = {1, 2, 0, 3};
    static constexpr int PAIRS = 3;  // the second of the last is not used
    static constexpr Carry CARRY = Carry::hidden;
    static constexpr int QUANTITIES = 4;  // r_t, z_t, n_t, h_t

    // A row's candidate is computed together with the gates of the next row, as in lstm.cpp.
    template <class P, bool TAPED, int R, class Done>
    INLINE static void forward(const Vec (&sums)[R][SUMS], float* carry, ptrdiff_t next_carry,
                               typename P::Word* tape, ptrdiff_t next_tape, Done&& done) {
        Vec gates[2] = {sums[0][1], sums[0][2]};
        P::template squash_sums<2>(gates);
        Vec r = gates[0], z = gates[1];  // of the row that was begun last
        auto candidate = [&](int row) __attribute__((always_inline)) {
            return fma(r, sums[row][3], sums[row][0]);
        };
        auto end_row = [&](int row, Vec c) __attribute__((always_inline)) {
            const Vec changed = load(carry + row * next_carry) - c;
            const Vec hidden = fma(z, changed, c);
            store(carry + row * next_carry, hidden);
            const Vec shown[QUANTITIES] = {r, z, c, hidden};
            done(row, shown);
            if (!TAPED) return;
            const Vec let_in = fill(1.0f) - z, by_n = fnma(c * c, let_in, let_in);
            const Vec by_m = r * by_n, by_r = by_m * sums[row][3];
            P::put_gate_pair(tape + row * next_tape, z, by_n);
            P::put_pair(tape + row * next_tape + P::PAIR, fnma(by_r, r, by_r),
                        changed * z * let_in);
            P::put_pair(tape + row * next_tape + 2 * P::PAIR, by_m, Vec{});
        };
#pragma GCC unroll 8
        for (int row = 1; row < R; ++row) {
            Vec x[3] = {sums[row][1], sums[row][2], candidate(row - 1)};
            P::template squash_sums<2>(x);
            end_row(row - 1, x[2]);
            r = x[0], z = x[1];
        }
        Vec last[1] = {candidate(R - 1)};
        P::template squash_sums<0>(last);
        end_row(R - 1, last[0]);
    }

    template <class P>
    INLINE static void backward(Vec d_hidden, float* d_carry, const typename P::Word* tape,
                                Vec (&d_sums)[SUMS]) {
        Vec z, by_n, by_r, by_z, by_m, unused;
        P::gate_pair(tape, z, by_n);
        P::pair(tape + P::PAIR, by_r, by_z);
        P::pair(tape + 2 * P::PAIR, by_m, unused);
        const Vec d_h = d_hidden + load(d_carry);
        d_sums[0] = d_h * by_n;
        d_sums[1] = d_h * by_r;
        d_sums[2] = d_h * by_z;
        d_sums[3] = d_h * by_m;
        store(d_carry, d_h * z);
    }
};

}  // namespace charloom::CHARLOOM_ISA

CHARLOOM_CELL(gru, Gru)
