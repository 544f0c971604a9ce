// One call on its way through the network: what it asks for, the weights, and its activations.
//
//     out      (L, T + 1, B, H) words    h before step t is at t, after it at t + 1
//     dropped  (L, T, B, H) words        what the next layer reads, where there is dropout
//     carry    (L, B, H) floats          what the cell hands on besides h, after the last step
//     tape     (L, T, block, B, ...)     derivatives of each cell, for the backward pass
//     d_sums   (L, T, B, G) words        gradient by the sums of the cell
//     d_carry  (L, B, H) floats          gradient by the carry, from the later step
//
// H and the like are padded to whole vectors here; a block is a vector of units.
#pragma once

#include <vector>

#include "kernels/softmax.h"
#include "network/call.h"
#include "network/weights.h"
#include "support/buffer.h"
#include "support/random.h"

namespace charloom::CHARLOOM_ISA {

// From one row of so many columns to the next, in words. Rows of a tile that were a multiple of many
// cache lines apart would all want the same few places in the cache.
template <class P>
int row_stride(int columns) {
    constexpr int LINE = 64 / sizeof(typename P::Word);
    const int words = columns / P::PER_WORD;
    return words % (8 * LINE) == 0 ? words + LINE : words;
}

struct Sizes {
    int H, G, V, E, blocks;                        // padded; G is all sums of H units
    int out_row, sums_row, logits_row, input_row;  // words from one row to the next
    int tape;                                      // words of a stream and block

    template <class P>
    static Sizes of(const Shape& shape, const CellInfo& cell, int tape) {
        Sizes s{};
        s.H = round_up(shape.hidden, LANES);
        s.G = cell.sums * s.H;
        s.V = round_up(shape.vocabulary, LANES);
        s.E = round_up(shape.embedding, LANES);
        s.blocks = s.H / LANES;
        s.out_row = row_stride<P>(s.H);
        s.sums_row = row_stride<P>(s.G);
        s.logits_row = row_stride<P>(s.V);
        s.input_row = row_stride<P>(s.E);
        s.tape = tape;
        return s;
    }
};

template <class P>
struct Activations {
    using Word = typename P::Word;

    std::vector<Buffer<Word>> out, dropped, tape, d_sums;  // of each layer
    std::vector<Buffer<float>> carry, d_carry;
    Buffer<Word> embedded, d_logits;
    Buffer<float> d_embedded, last_hidden;
    Buffer<Surprisal> surprisals;

    void need(const Call& call, const Sizes& size, const Shape& shape) {
        const size_t B = call.B, rows = call.T * B, layers = shape.layers;
        for (auto* words : {&out, &dropped, &tape, &d_sums}) words->resize(layers);
        for (auto* floats : {&carry, &d_carry}) floats->resize(layers);
        const bool learning = call.mode == Mode::learning;
        for (size_t l = 0; l < layers; ++l) {
            out[l].need((rows + B) * size.out_row);
            carry[l].need(B * size.H);
            if (!learning) continue;
            tape[l].need(rows * size.blocks * size.tape);
            d_sums[l].need(rows * size.sums_row);
            d_carry[l].need(B * size.H);
            if (call.dropout.threshold) dropped[l].need(rows * size.out_row);
        }
        last_hidden.need(layers * B * size.H);
        if (shape.embedding) embedded.need(rows * size.input_row);
        if (!learning) return;
        surprisals.need(rows);
        d_logits.need(rows * size.logits_row);
        if (shape.embedding) d_embedded.need(rows * size.E);
    }
};

template <class P>
struct Pass {
    using Word = typename P::Word;

    const Call call;
    const Shape& shape;
    const Sizes& size;
    Weights<P>& weights;
    Activations<P>& memory;

    const Layout& layout() const { return weights.layout; }
    size_t row(int t, int b) const { return static_cast<size_t>(t) * call.B + b; }

    Word* out(int l, int t, int b) const { return &memory.out[l][row(t, b) * size.out_row]; }
    Word* dropped(int l, int t, int b) const {
        return &memory.dropped[l][row(t, b) * size.out_row];
    }
    // What the layer above, or the head, reads of step t.
    const Word* above(int l, int t, int b) const {
        return call.dropout.threshold ? dropped(l, t, b) : out(l, t + 1, b);
    }
    float* carry(int l, int b) const { return &memory.carry[l][static_cast<size_t>(b) * size.H]; }
    float* d_carry(int l, int b) const {
        return &memory.d_carry[l][static_cast<size_t>(b) * size.H];
    }
    Word* tape(int l, int t, int block, int b) const {
        const size_t at = (static_cast<size_t>(t) * size.blocks + block) * call.B + b;
        return &memory.tape[l][at * size.tape];
    }
    Word* d_sums(int l, int t, int b) const {
        return &memory.d_sums[l][row(t, b) * size.sums_row];
    }
    Word* d_logits(int t, int b) const { return &memory.d_logits[row(t, b) * size.logits_row]; }
    Word* embedded(int t, int b) const { return &memory.embedded[row(t, b) * size.input_row]; }
    float* d_embedded(int t, int b) const { return &memory.d_embedded[row(t, b) * size.E]; }
    float* last_hidden(int l, int b) const {
        return &memory.last_hidden[(static_cast<size_t>(l) * call.B + b) * size.H];
    }

    // Where a unit is kept the scale, 0 where it is dropped; `key` is the layer's.
    INLINE Vec kept(uint32_t key, int t, int b, int unit) const {
        const uint32_t first = (static_cast<uint32_t>(t) * call.B + b) * shape.hidden + unit;
        const Bits bits = mix32((lane_numbers() + first) ^ key);
        return bits >= call.dropout.threshold ? fill(call.dropout.scale) : Vec{};
    }
};

}  // namespace charloom::CHARLOOM_ISA
