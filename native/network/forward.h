// The forward pass of a layer's step, for one cell: sums of products in registers, then the cell.
#pragma once

#include <cstring>
#include <type_traits>

#include "network/pass.h"

namespace charloom::CHARLOOM_ISA {

// The number of rows of a tile.
template <class Tile>
constexpr int rows_of = std::extent_v<std::remove_reference_t<Tile>>;

// A trace's quantities are (Q, L, T, B, H).
template <class P, int Q>
void write_trace(const Pass<P>& pass, int l, int t, int b, int unit, const Vec (&shown)[Q]) {
    const Call& call = pass.call;
    const int H = pass.shape.hidden;
    const size_t row = (static_cast<size_t>(l) * call.T + t) * call.B + b;
    const size_t rows = static_cast<size_t>(pass.shape.layers) * call.T * call.B;
    for (int q = 0; q < Q; ++q)
        std::memcpy(call.quantities + (q * rows + row) * H + unit, &shown[q],
                    sizeof(float) * std::min(LANES, H - unit));
}

template <class P, class Cell, Mode MODE>
void forward_block(const Pass<P>& pass, int l, int t, int block, Range streams) {
    using Word = typename P::Word;
    constexpr bool LEARNING = MODE == Mode::learning;
    constexpr int SUMS = Cell::SUMS, TAPE = Cell::PAIRS * P::PAIR;
    const Sizes& size = pass.size;
    const Layout& layout = pass.layout();
    const Weights<P>& weights = pass.weights;
    const int column = block * SUMS * LANES, unit = block * LANES;
    const float* bias = weights.weight(layout.bias[l]).at(0, block * SUMS);
    const bool one_hot = layout.one_hot(l);
    const int32_t* ids = pass.call.inputs + static_cast<size_t>(t) * pass.call.B;
    auto start = [&](int b, auto& sums) __attribute__((always_inline)) {
        for (auto& row : sums) {
            const float* from = one_hot ? weights.gathered(ids[b++], column) : bias;
            for (int s = 0; s < SUMS; ++s) row[s] = load(from + s * LANES);
        }
    };

    Term<P> input;
    if (l > 0)
        input = weights.forward_term(layout.input[l], pass.above(l - 1, t, 0), size.out_row,
                                     column);
    else if (!one_hot)
        input = weights.forward_term(layout.input[0], pass.embedded(t, 0), size.input_row, column);
    const Term<P> recurrent =
        weights.forward_term(layout.recurrent[l], pass.out(l, t, 0), size.out_row, column);

    const bool last = t == pass.call.T - 1;
    const bool drops = LEARNING && pass.call.dropout.threshold;
    const uint32_t key = dropout_layer_key(pass.call.dropout.key, l);
    auto end = [&](int b, auto& sums) __attribute__((always_inline)) {
        constexpr int R = rows_of<decltype(sums)>;
        float* carry = pass.carry(l, b) + unit;
        Word* tape = LEARNING ? pass.tape(l, t, block, b) : nullptr;
        Word* out = pass.out(l, t + 1, b);
        Vec hidden[R];
        auto done = [&](int r, const auto& shown) __attribute__((always_inline)) {
            hidden[r] = shown[Cell::QUANTITIES - 1];
            P::put(out + r * size.out_row, unit, hidden[r]);
            if constexpr (MODE == Mode::tracing) write_trace(pass, l, t, b + r, unit, shown);
        };
        Cell::template forward<P, LEARNING>(sums, carry, size.H, tape, TAPE, done);
        if (last)
            for (int r = 0; r < R; ++r) store(pass.last_hidden(l, b + r) + unit, hidden[r]);
        if (drops)
            for (int r = 0; r < R; ++r)
                P::put(pass.dropped(l, t, b + r), unit,
                       hidden[r] * pass.kept(key, t, b + r, unit));
    };
    multiply_rows<P, SUMS, MODE == Mode::tracing>(streams.from, streams.to, input, recurrent,
                                                  start, end);
}

template <class P, class Cell, Mode MODE>
void forward_step(const Pass<P>& pass, int l, int t, Range blocks, Range streams) {
    for (int block = blocks.from; block < blocks.to; ++block)
        forward_block<P, Cell, MODE>(pass, l, t, block, streams);
}

}  // namespace charloom::CHARLOOM_ISA
