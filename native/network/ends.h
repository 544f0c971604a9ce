// The two ends of a network, which are the same for every cell: the embedding and the head.
#pragma once

#include "kernels/packing.h"
#include "network/pass.h"

namespace charloom::CHARLOOM_ISA {

// Gather the rows of the table that the inputs name.
template <class P>
void embed(const Pass<P>& pass, Range streams) {
    if (!pass.shape.embedding) return;
    const auto table = pass.weights.weight(pass.layout().embedding);
    for (int t = 0; t < pass.call.T; ++t)
        for (int b = streams.from; b < streams.to; ++b) {
            const int id = pass.call.inputs[pass.row(t, b)];
            for (int e = 0; e < pass.size.E; e += LANES)
                P::put(pass.embedded(t, b), e, load(table.at(id, e / LANES)));
        }
}

// The gradient by those rows, for each position.
template <class P>
void embedding_gradients(const Pass<P>& pass, Range streams) {
    if (!pass.shape.embedding) return;
    const Matrix* m = pass.layout().input[0];
    for (int t = 0; t < pass.call.T; ++t) {
        const Term<P> term =
            pass.weights.backward_term(m, pass.d_sums(0, t, streams.from), pass.size.sums_row, 0);
        multiply(m->backward, term, streams.to - streams.from, nullptr,
                 pass.d_embedded(t, streams.from), pass.size.E);
    }
}

// f(stream, its logits, padded to V) for step t; f may overwrite them.
template <class P, class F>
void each_logits(const Pass<P>& pass, int t, Range streams, F&& f) {
    const Sizes& size = pass.size;
    const Layout& layout = pass.layout();
    const int count = streams.to - streams.from;
    thread_local Buffer<float> rows;
    rows.need(static_cast<size_t>(count) * size.V);
    const Term<P> term = pass.weights.forward_term(
        layout.head, pass.above(pass.shape.layers - 1, t, streams.from), size.out_row, 0);
    multiply(layout.head->forward, term, count, pass.weights.weight(layout.head_bias).first,
             rows.data(), size.V);
    for (int n = 0; n < count; ++n)
        f(streams.from + n, rows.data() + static_cast<size_t>(n) * size.V);
}

// The surprisal of every target, and the gradient of their mean by the logits.
template <class P>
void logit_gradients(const Pass<P>& pass, const int32_t* targets, float weight, Range streams) {
    for (int t = pass.call.head_start; t < pass.call.T; ++t)
        each_logits(pass, t, streams, [&](int b, float* logits) {
            const size_t row = pass.row(t, b), V = pass.shape.vocabulary;
            if (pass.call.logits) std::copy_n(logits, V, pass.call.logits + row * V);
            const int target = targets[row];
            if (target < 0) {
                pass.memory.surprisals[row] = {1, 0};
                std::fill_n(pass.d_logits(t, b), pass.size.logits_row, typename P::Word{});
                return;
            }
            const float logit = logits[target];
            const Softmax s = softmax(logits, pass.size.V);
            pass.memory.surprisals[row] = {s.total, s.most - logit};
            softmax_gradient<P>(logits, pass.size.V, target, s, weight, pass.d_logits(t, b));
        });
}

}  // namespace charloom::CHARLOOM_ISA
