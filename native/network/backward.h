// The backward pass of a layer's step, for one cell: the gradient by its h, then by its sums.
#pragma once

#include "network/forward.h"

namespace charloom::CHARLOOM_ISA {

// The products with weights are the same for every cell, so they are not compiled with it: a tile's
// gradient by h is written to the first-level cache, and the cell reads it from there.
template <class P, class Cell>
void backward_step(const Pass<P>& pass, int l, int t, Range streams) {
    using Word = typename P::Word;
    constexpr int SUMS = Cell::SUMS, TAPE = Cell::PAIRS * P::PAIR, MOST = tile_rows(1) * PANEL;
    const Sizes& size = pass.size;
    const Layout& layout = pass.layout();
    const Panels& panels = layout.recurrent[l]->backward;
    const ptrdiff_t next_block = static_cast<ptrdiff_t>(pass.call.B) * TAPE;
    const uint32_t key = dropout_layer_key(pass.call.dropout.key, l);
    const bool drops = pass.call.dropout.threshold;
    Vec d_hidden[MOST], kept[MOST];

    auto tile = [&](int unit, int width, int b, int rows, const Term<P>& from_above,
                    const Term<P>& from_later) {
        for (int n = 0; drops && n < rows * width; ++n)
            kept[n] = pass.kept(key, t, b + n / width, unit + n % width * LANES);
        const int block = unit / LANES;
        const Word* tape = pass.tape(l, t, block, b);
        const Soon soon{reinterpret_cast<const char*>(tape), next_block * int{sizeof(Word)},
                        TAPE * int{sizeof(Word)}};
        multiply_tile<P>(rows, width, from_above.from(b), from_later.from(b), soon, nullptr, 0,
                         drops ? kept : nullptr, reinterpret_cast<float*>(d_hidden),
                         width * LANES);
        float* d_carry = pass.d_carry(l, b) + unit;
        Word* d_sums = pass.d_sums(l, t, b);
        const int H = size.H, sums_row = size.sums_row;
        with_constant<PANEL>(width, [&](auto columns) __attribute__((always_inline)) {
            for (int r = 0; r < rows; ++r)
                range<0, columns>([&](int c) __attribute__((always_inline)) {
                    Vec gradients[SUMS];
                    Cell::template backward<P>(d_hidden[r * columns + c],
                                               d_carry + r * H + c * LANES,
                                               tape + c * next_block + r * TAPE, gradients);
                    P::put(d_sums + r * sums_row, (block + c) * SUMS * LANES, gradients);
                });
        });
    };
    for (int panel = 0; panel < panels.count; ++panel) {
        const int unit = panels.start(panel) * LANES, width = panels.width(panel);
        Term<P> from_above, from_later;
        if (l < pass.shape.layers - 1)
            from_above = pass.weights.backward_term(layout.input[l + 1], pass.d_sums(l + 1, t, 0),
                                                    size.sums_row, unit);
        else if (t >= pass.call.head_start)
            from_above = pass.weights.backward_term(layout.head, pass.d_logits(t, 0),
                                                    size.logits_row, unit);
        if (t + 1 < pass.call.T)
            from_later = pass.weights.backward_term(
                layout.recurrent[l], pass.d_sums(l, t + 1, 0), size.sums_row, unit);
        each_tile(width, streams.from, streams.to, [&](int b, int rows) {
            tile(unit, width, b, rows, from_above, from_later);
        });
    }
}

}  // namespace charloom::CHARLOOM_ISA
