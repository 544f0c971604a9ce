// The forward pass of a layer's step, for one cell: sums of products in registers, then the cell.
#pragma once

#include <algorithm>
#include <cstring>
#include <iterator>
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

// The sums that the rows of a tensor add to: a run of the cell's.
template <const auto& GROUPS>
using ColumnsOf = Columns<*std::min_element(std::begin(GROUPS), std::end(GROUPS)),
                          static_cast<int>(std::size(GROUPS))>;

// Addresses are computed once for all blocks: in a small network, a chain of loads for each block
// takes 2 % of the time.
template <class P, class Cell, Mode MODE>
void forward_step(const Pass<P>& pass, int l, int t, Range blocks, Range streams) {
    using Word = typename P::Word;
    constexpr bool LEARNING = MODE == Mode::learning;
    using Input = ColumnsOf<Cell::INPUT>;
    using Recurrent = ColumnsOf<Cell::RECURRENT>;
    constexpr int SUMS = Cell::SUMS, TAPE = Cell::PAIRS * P::PAIR;
    const Call& call = pass.call;
    const Layout& layout = pass.layout();
    const Weights<P>& weights = pass.weights;
    const bool one_hot = layout.one_hot(l), last = t == call.T - 1;
    const int32_t* ids = call.inputs + pass.row(t, 0);
    const float* bias = weights.weight(layout.bias[l]).first;

    Term<P> input;
    if (l > 0)
        input = weights.forward_term(layout.input[l], pass.above(l - 1, t, 0), pass.size.out_row, 0);
    else if (!one_hot)
        input = weights.forward_term(layout.input[0], pass.embedded(t, 0), pass.size.input_row, 0);
    const Term<P> recurrent =
        weights.forward_term(layout.recurrent[l], pass.out(l, t, 0), pass.size.out_row, 0);

    // Of stream 0 and unit 0.
    const ptrdiff_t H = pass.size.H, out_row = pass.size.out_row;
    float* const carries = pass.carry(l, 0);
    float* const last_hidden = pass.last_hidden(l, 0);
    Word* const outs = pass.out(l, t + 1, 0);
    Word* const dropped =
        LEARNING && call.dropout.threshold ? pass.dropped(l, t, 0) : nullptr;
    const uint32_t key = dropout_layer_key(call.dropout.key, l);

    // Of networks side by side, a unit reads its own.
    const int members = LEARNING ? 1 : weights.members(), share = pass.size.H / members;
    auto own = [&](const Term<P>& panel, int unit, int width) {
        if (members == 1) return panel;
        return panel.cut(unit / share * share / P::PER_WORD, share / P::PER_WORD, width);
    };

    for (int block = blocks.from; block < blocks.to; ++block) {
        const int unit = block * LANES, column = unit * SUMS;
        const float* const first = one_hot ? weights.gathered(0, column) : bias + column;
        Word* const tapes = LEARNING ? pass.tape(l, t, block, 0) : nullptr;
        auto start = [&](int b, auto& sums) __attribute__((always_inline)) {
            for (auto& row : sums) {
                const float* from = one_hot ? first + ids[b++] * SUMS * LANES : first;
                for (int s = 0; s < SUMS; ++s) row[s] = load(from + s * LANES);
            }
        };
        auto end = [&](int b, auto& sums) __attribute__((always_inline)) {
            constexpr int R = rows_of<decltype(sums)>;
            Word* const out = outs + b * out_row;
            Vec hidden[R];
            auto done = [&](int r, const auto& shown) __attribute__((always_inline)) {
                hidden[r] = shown[Cell::QUANTITIES - 1];
                P::put(out + r * out_row, unit, hidden[r]);
                if constexpr (MODE == Mode::tracing) write_trace(pass, l, t, b + r, unit, shown);
            };
            Cell::template forward<P, LEARNING>(sums, carries + b * H + unit, H,
                                                LEARNING ? tapes + b * TAPE : nullptr, TAPE, done);
            if (last)
                for (int r = 0; r < R; ++r) store(last_hidden + (b + r) * H + unit, hidden[r]);
            if (LEARNING && dropped)
                for (int r = 0; r < R; ++r)
                    P::put(dropped + (b + r) * out_row, unit,
                           hidden[r] * pass.kept(key, t, b + r, unit));
        };
        const Term<P> all_input = input.panel(unit * Input::WIDTH),
                      from_input = l > 0 ? own(all_input, unit, Input::WIDTH) : all_input,
                      from_before = own(recurrent.panel(unit * Recurrent::WIDTH), unit,
                                        Recurrent::WIDTH);
        if constexpr (Cell::FUSED && MODE != Mode::tracing && !TILES)
            multiply_rows<P, SUMS, Input, Recurrent>(streams.from, streams.to, from_input,
                                                     from_before, start, end);
        else
            multiply_rows_apart<P, SUMS, Input, Recurrent>(streams.from, streams.to, from_input,
                                                           from_before, start, end);
    }
}

}  // namespace charloom::CHARLOOM_ISA
