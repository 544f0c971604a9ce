// The weights, what training keeps beside them, and the forms in which products read them.
//
// Beside each weight are its gradient and Adam's two moments, in arrays of the same layout. A
// matrix that is multiplied is packed twice in the precision of products: for the forward pass, A W,
// and for the backward pass, D W^T. The one that a one-hot input picks a row of is gathered from a
// table in float32, packed as for A W and with the bias added.
#pragma once

#include <algorithm>
#include <vector>

#include "kernels/adam.h"
#include "kernels/packing.h"
#include "network/layout.h"
#include "support/buffer.h"

namespace charloom::CHARLOOM_ISA {

template <class P>
class Weights {
    using Word = typename P::Word;
    struct Packed {
        Buffer<Word> forward, backward;
        int forward_steps = 0, backward_steps = 0;
    };

public:
    const Layout layout;

    Weights(const Shape& shape, const CellInfo& cell)
        : layout(shape, cell), sums_(cell.sums), packed_(layout.matrices.size()) {
        weight_.need(layout.size);
        for (auto* array : {&gradient_, &mean_, &mean_square_})
            if (TRAINS) array->need(layout.size);
        layout.mask_missing_characters(weight_.data());
        for (const Matrix& m : layout.matrices) {
            if (!m.multiplied) continue;
            Packed& packed = packed_[m.number];
            packed.forward_steps = divide_up(m.K, P::PER_WORD);
            packed.backward_steps = m.N / P::PER_WORD;
            packed.forward.need(static_cast<size_t>(packed.forward_steps) * m.N);
            if (TRAINS)
                packed.backward.need(static_cast<size_t>(packed.backward_steps) *
                                     round_up(m.K, LANES));
        }
        if (!layout.embedding) table_.need(layout.input[0]->size());
    }

    // A W for the panel of W that starts at `column`, and D W^T for the one that starts at
    // input `row`; `a` and `d` are their rows, `stride` words apart.
    Term<P> forward_term(const Matrix* m, const Word* a, ptrdiff_t stride, int column) const {
        const Packed& packed = packed_[m->number];
        const int steps = packed.forward_steps;
        return {a, stride, packed.forward.data() + static_cast<size_t>(column) * steps, steps};
    }
    Term<P> backward_term(const Matrix* m, const Word* d, ptrdiff_t stride, int row) const {
        const Packed& packed = packed_[m->number];
        const int steps = packed.backward_steps, strip = LANES / P::PER_WORD;
        const Word* panel = packed.backward.data() + static_cast<size_t>(row) * steps;
        const Runs runs = m->runs(sums_);
        if (runs.whole()) return {d, stride, panel, steps};
        return {d + runs.first * strip, stride, panel, runs.width * strip,
                m->strips() / runs.width, runs.of * strip};
    }

    // The sums that start at `column`, with this one-hot input and no state.
    const float* gathered(int id, int column) const {
        return &table_[static_cast<size_t>(column) * layout.shape.vocabulary + id * sums_ * LANES];
    }
    Strips<const float> weight(const Matrix* m) const { return layout.in(weight_.data(), m); }
    Strips<float> gradient(const Matrix* m) { return {&gradient_[m->at], m->K}; }

    int sums() const { return sums_; }

    // How many networks lie side by side in these weights: 1, or as many as there are parts of the
    // units that read nothing of each other. What is zero between them need not be multiplied.
    int members() const { return members_; }
    void find_members(bool learning) {
        if (!learning && members_) return;
        members_ = learning ? 0 : 1;
        for (int count = MOST_MEMBERS; !learning && count > 1 && members_ == 1; --count)
            if (layout.shape.hidden % (count * LANES) == 0 && are_apart(count)) members_ = count;
    }

    // Copy a tensor out in PyTorch's shape, or in.
    void read(int tensor, Kind kind, float* to) const {
        const float* from = array(kind).data();
        layout.for_elements(
            tensor, [&](size_t outside, size_t inside) { to[outside] = from[inside]; });
    }
    void write(int tensor, Kind kind, const float* from) {
        float* to = const_cast<float*>(array(kind).data());
        layout.for_elements(
            tensor, [&](size_t outside, size_t inside) { to[inside] = from[outside]; });
        if (kind == Kind::weight) is_packed_ = false, members_ = 0;
    }

    // Are the packed forms up to date? Not after a write, until every part has packed its share.
    bool is_packed() const { return is_packed_; }
    void set_packed() { is_packed_ = true; }
    void pack(int part, int parts) {
        for (const Matrix& m : layout.matrices) {
            const auto [from, to] = m.share(part, parts);
            pack(m, 0, m.K, from, to);
        }
        streams_end();
    }
    // What a step of the forward pass reads of them.
    size_t packed_bytes() const {
        size_t words = 0;
        for (const Packed& packed : packed_) words += packed.forward.size();
        return words * sizeof(Word);
    }

    int strips() const {
        int count = 0;
        for (const Matrix& m : layout.matrices) count += m.strips();
        return count;
    }
    // The sum of the squares of the gradient, for each strip of that share, in `squares`: one
    // number for each strip of all matrices.
    void square_gradients(int part, int parts, double* squares) {
        for (const Matrix& m : layout.matrices) {
            const auto [from, to] = m.share(part, parts);
            for (int strip = from; strip < to; ++strip)
                squares[strip] =
                    m.learns(strip) ? sum_of_squares(gradient(&m).at(0, strip), m.K) : 0;
            squares += m.strips();
        }
    }

    // A step of Adam on that share. What is read in another form is packed while it is in the
    // first-level cache (16 KiB of the four arrays), as many strips together as a word takes
    // columns. A bias comes before the weights.
    void learn(const Adam& adam, int part, int parts) {
        constexpr int ROWS = 1024 / LANES;
        for (auto at = layout.matrices.rbegin(); at != layout.matrices.rend(); ++at) {
            const Matrix& m = *at;
            const auto [from, to] = m.share(part, parts);
            for (int strip = from; strip < to; strip += P::PER_WORD) {
                const int end = std::min(to, strip + P::PER_WORD);
                for (int k = 0; k < m.K; k += ROWS) {
                    const int last = std::min(m.K, k + ROWS);
                    for (int s = strip; s < end; ++s) {
                        if (!m.learns(s)) continue;
                        const size_t at = m.at + (static_cast<size_t>(s) * m.K + k) * LANES;
                        adam.update(&weight_[at], &mean_[at], &mean_square_[at], &gradient_[at],
                                    static_cast<size_t>(last - k) * LANES);
                    }
                    pack(m, k, last, strip, end);
                }
            }
        }
        streams_end();
    }

private:
    static constexpr int MOST_MEMBERS = 8;

    bool are_apart(int count) const {
        const int share = layout.shape.hidden / count;
        for (int l = 0; l < layout.shape.layers; ++l)
            for (const Matrix* m : {layout.recurrent[l], l ? layout.input[l] : nullptr}) {
                if (!m) continue;
                for (int strip = 0; strip < m->strips(); ++strip) {
                    const int own = strip / m->sums * LANES / share * share;
                    const float* first = weight(m).at(0, strip);
                    auto is_zero = [](float w) { return w == 0; };
                    if (!std::all_of(first, first + own * LANES, is_zero) ||
                        !std::all_of(first + (own + share) * LANES, first + m->K * LANES, is_zero))
                        return false;
                }
            }
        return true;
    }

    const Buffer<float>& array(Kind kind) const {
        return kind == Kind::weight ? weight_ : kind == Kind::mean ? mean_ : mean_square_;
    }

    // Rows [first, last) of strips [from, to), in the forms that are read.
    void pack(const Matrix& m, int first, int last, int from, int to) {
        if (m.multiplied) {
            Packed& packed = packed_[m.number];
            pack_rows<P>(weight(&m), m.forward, first, last, from, to, packed.forward.data());
            if constexpr (TRAINS)
                pack_columns<P>(weight(&m), m.strips(), m.backward, first, last, from, to,
                                packed.backward.data());
        } else if (&m == layout.input[0]) {
            for (int strip = from; strip < to; ++strip) {
                const Vec b = load(weight(layout.bias[0]).at(0, strip));
                const int block = strip / sums_, sum = strip % sums_;
                for (int id = first; id < last; ++id)
                    stream_as(const_cast<float*>(gathered(id, block * sums_ * LANES)) + sum * LANES,
                              b + load(weight(&m).at(id, strip)));
            }
        }
    }

    const int sums_;  // of a unit
    std::vector<Packed> packed_;
    bool is_packed_ = false;
    int members_ = 0;  // not known
    Buffer<float> weight_, gradient_, mean_, mean_square_;
    Buffer<float> table_;  // what `gathered` finds
};

}  // namespace charloom::CHARLOOM_ISA
