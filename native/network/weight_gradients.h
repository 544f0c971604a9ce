// The gradients of all weights, once those of every step's sums are known.
#pragma once

#include "kernels/gradients.h"
#include "network/pass.h"

namespace charloom::CHARLOOM_ISA {

// Of this thread's strips.
template <class P>
void weight_gradients(const Pass<P>& pass, const RowsById& rows_by_id, int part, int parts) {
    using Word = typename P::Word;
    const Layout& layout = pass.layout();
    const Sizes& size = pass.size;
    Weights<P>& w = pass.weights;
    const int rows = pass.call.T * pass.call.B, top = pass.shape.layers - 1;
    for (int l = 0; l <= top; ++l) {
        const Rows<P> d_sums{pass.d_sums(l, 0, 0), size.sums_row};
        auto product = [&](const Matrix* m, const Word* a, int words) {
            const auto [from, to] = m->share(part, parts);
            transposed_product<P>(w.gradient(m), {a, words}, d_sums, m->runs(w.sums()), 0, rows,
                                  from, to);
        };
        product(layout.recurrent[l], pass.out(l, 0, 0), size.out_row);
        if (l > 0)
            product(layout.input[l], pass.above(l - 1, 0, 0), size.out_row);
        else if (layout.embedding)
            product(layout.input[0], pass.embedded(0, 0), size.input_row);
        const auto bias = w.gradient(layout.bias[l]);
        const auto [from, to] = layout.bias[l]->share(part, parts);
        if (layout.one_hot(l))
            scatter(w.gradient(layout.input[0]), &bias, rows_by_id, d_sums, from, to);
        else
            column_sums<P>(bias, d_sums, 0, rows, from, to);
    }
    const Rows<P> d_logits{pass.d_logits(0, 0), size.logits_row};
    const int first_row = pass.call.head_start * pass.call.B;
    const auto [from, to] = layout.head->share(part, parts);
    transposed_product<P>(w.gradient(layout.head), {pass.above(top, 0, 0), size.out_row}, d_logits,
                          {}, first_row, rows, from, to);
    column_sums<P>(w.gradient(layout.head_bias), d_logits, first_row, rows, from, to);
    if (layout.embedding) {
        const auto [first, last] = layout.embedding->share(part, parts);
        const Rows<Float32> d_embedded{pass.d_embedded(0, 0), size.E};
        scatter(w.gradient(layout.embedding), nullptr, rows_by_id, d_embedded, first, last);
    }
}

}  // namespace charloom::CHARLOOM_ISA
