// The plain RNN of the comparison: h' = tanh(sum). Its tape holds the derivative, 1 - h'^2.
#include "network/define_cell.h"

namespace charloom::CHARLOOM_ISA {

struct Rnn {
    static constexpr int SUMS = 1;
    static constexpr bool FUSED = false;
    static constexpr int INPUT[] = {0}, RECURRENT[] = {0}, BIAS[] = {0};
    static constexpr int PAIRS = 1;  // the second of the pair is not used
    static constexpr Carry CARRY = Carry::nothing;
    static constexpr int QUANTITIES = 1;  // h_t

    template <class P, bool TAPED, int R, class Done>
    INLINE static void forward(const Vec (&sums)[R][SUMS], float*, ptrdiff_t,
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
                                Vec (&d_sums)[SUMS]) {
        Vec by_sum, unused;
        P::pair(tape, by_sum, unused);
        d_sums[0] = d_hidden * by_sum;
    }
};

}  // namespace charloom::CHARLOOM_ISA

CHARLOOM_CELL(rnn, Rnn)
