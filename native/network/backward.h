// The backward pass of a layer's step, for one cell: the gradient by its h, then by its sums.
#pragma once

#include "network/forward.h"

namespace charloom::CHARLOOM_ISA {

// C vectors of units from `unit` on.
template <class P, class Cell, int C>
void backward_panel(const Pass<P>& pass, int l, int t, int unit, Range streams) {
    using Word = typename P::Word;
    constexpr int SUMS = Cell::SUMS, TAPE = Cell::PAIRS * P::PAIR;
    const Sizes& size = pass.size;
    const Layout& layout = pass.layout();
    const int block = unit / LANES;
    Term<P> from_above, from_later;
    if (l < pass.shape.layers - 1)
        from_above = pass.weights.backward_term(layout.input[l + 1], pass.d_sums(l + 1, t, 0),
                                                size.sums_row, unit);
    else if (t >= pass.call.head_start)
        from_above = pass.weights.backward_term(layout.head, pass.d_logits(t, 0),
                                                size.logits_row, unit);
    if (t + 1 < pass.call.T)
        from_later = pass.weights.backward_term(layout.recurrent[l], pass.d_sums(l, t + 1, 0),
                                                size.sums_row, unit);

    const bool drops = pass.call.dropout.threshold;
    const uint32_t key = dropout_layer_key(pass.call.dropout.key, l);
    const int sums_row = size.sums_row, H = size.H;
    const ptrdiff_t next_block = static_cast<ptrdiff_t>(pass.call.B) * TAPE;
    auto fetch_tape = [&](int b, auto rows) __attribute__((always_inline)) {
        const Word* tape = pass.tape(l, t, block, b);
        each<rows, C>([&](int r, int c) {
            for (int v = 0; v < TAPE; v += LANES)
                __builtin_prefetch(tape + c * next_block + r * TAPE + v);
        });
    };
    auto drop = [&](int b, auto& d_above) __attribute__((always_inline)) {
        if (!drops) return;
        each<rows_of<decltype(d_above)>, C>([&](int r, int c) {
            d_above[r][c] *= pass.kept(key, t, b + r, unit + c * LANES);
        });
    };
    auto end = [&](int b, auto& d_hidden) __attribute__((always_inline)) {
        const Word* tape = pass.tape(l, t, block, b);
        float* d_carry = pass.d_carry(l, b) + unit;
        Word* d_sums = pass.d_sums(l, t, b);
        each<rows_of<decltype(d_hidden)>, C>([&](int r, int c) {
            Vec gradients[SUMS];
            Cell::template backward<P>(d_hidden[r][c], d_carry + r * H + c * LANES,
                                       tape + c * next_block + r * TAPE, gradients);
            P::put(d_sums + r * sums_row, (block + c) * SUMS * LANES, gradients);
        });
    };
    multiply_rows<P, C>(streams.from, streams.to, from_above, from_later, zero, end, drop,
                        fetch_tape);
}

template <class P, class Cell>
void backward_step(const Pass<P>& pass, int l, int t, Range streams) {
    for_panels(pass.layout().recurrent[l]->backward, [&](int unit, auto width) {
        backward_panel<P, Cell, decltype(width)::value>(pass, l, t, unit, streams);
    });
}

}  // namespace charloom::CHARLOOM_ISA
