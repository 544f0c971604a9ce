// Where the weights are: one long array of floats, cut into matrices.
//
// A matrix has K inputs and N outputs, N in whole vectors, and is stored in strips (see gemm.h).
// Beside each weight are its gradient and Adam's two moments, in arrays cut the same way; and a
// matrix that is multiplied has two packed forms in the precision of products: one for the way
// up, A W, and one for the way down, D W^T. The one that a one-hot input picks a row of is packed
// as for A W, but in float32 and with the bias added.
//
// The N = G columns of a layer are interleaved, so that one panel of a product holds the
// gates of LANES units side by side, and the cell is computed where the product ends:
//
//     columns   [ i of units 0..15 | f | g | o ] [ i of units 16..31 | f | g | o ] ...
//
// Columns that only fill up a vector stay zero, but for the biases of the head: theirs are
// so low that the characters that do not exist have no share in the softmax.
#pragma once

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

#include "kernels/product_int8.h"
#include "kernels/product.h"
#include "network/network.h"
#include "kernels/adam.h"

namespace charloom::CHARLOOM_ISA {

template <class P>
struct Matrix {
    using Word = typename P::Word;

    int number = 0;
    int K = 0, N = 0;
    size_t at = 0;            // where it starts in the long arrays
    bool multiplied = false;  // or else only gathered by rows, or added
    Panels up;                // over N
    Panels down;              // over K
    Buffer<Word> packed_up, packed_down;

    size_t size() const { return static_cast<size_t>(K) * N; }
    int strips() const { return N / LANES; }
    int up_steps() const { return divide_up(K, P::PER_WORD); }
    int down_steps() const { return N / P::PER_WORD; }

    // A W for the panel of W that starts at `column`, and D W^T for the one that starts at
    // input `row`; `a` and `d` are their rows, `stride` words apart.
    Term<P> up_term(const Word* a, ptrdiff_t stride, int column) const {
        return {a, stride, packed_up.data() + static_cast<size_t>(column) * up_steps(),
                up_steps()};
    }
    Term<P> down_term(const Word* d, ptrdiff_t stride, int row) const {
        return {d, stride, packed_down.data() + static_cast<size_t>(row) * down_steps(),
                down_steps()};
    }
};

template <class P, int GATES>
class Weights {
public:
    using M = Matrix<P>;

    M* embedding = nullptr;
    std::vector<M*> input, recurrent, bias;  // of each layer
    M* head = nullptr;
    M* head_bias = nullptr;

    explicit Weights(const Shape& shape) : shape_(shape) {
        const int G = GATES * round_up(shape.hidden, LANES);
        const int V = round_up(shape.vocabulary, LANES);
        if (shape.embedding)
            embedding = add(shape.vocabulary, round_up(shape.embedding, LANES), false);
        for (int l = 0; l < shape.layers; ++l) {
            const bool one_hot = l == 0 && !shape.embedding;
            const int inputs = l ? shape.hidden : one_hot ? shape.vocabulary : shape.embedding;
            input.push_back(add(inputs, G, !one_hot, GATES));
            recurrent.push_back(add(shape.hidden, G, true, GATES));
            bias.push_back(add(1, G, false));
        }
        head = add(shape.hidden, V, true);
        head_bias = add(1, V, false);
        for (auto* array : {&weight_, &gradient_, &mean_, &mean_square_}) array->need(size_);
        if (!embedding) table_.need(input[0]->size());
        for (int v = shape.vocabulary; v < V; ++v) weight_[head_bias->at + v] = -1e30f;
    }

    // What the sums of the gates that start at `column` are with this one-hot input and no state.
    float* gathered(int id, int column) {
        return &table_[static_cast<size_t>(column) * shape_.vocabulary + id * GATES * LANES];
    }
    Strips<const float> weight(const M* m) const { return {&weight_[m->at], m->K}; }
    Strips<float> gradient(const M* m) { return {&gradient_[m->at], m->K}; }
    float* array(Kind kind) {
        return kind == Kind::weight ? weight_.data()
               : kind == Kind::mean ? mean_.data()
                                    : mean_square_.data();
    }

    // Copy a tensor out in PyTorch's shape, or in.
    void read(int tensor, Kind kind, float* to) {
        const float* from = array(kind);
        for_elements(tensor, [&](size_t outside, size_t inside) { to[outside] = from[inside]; });
    }
    void write(int tensor, Kind kind, const float* from) {
        float* to = array(kind);
        for_elements(tensor, [&](size_t outside, size_t inside) { to[inside] = from[outside]; });
    }

    // Threads share every matrix by its strips; part `part` of `parts`:
    static std::pair<int, int> share(const M* m, int part, int parts) {
        return {part_start(m->strips(), parts, part), part_start(m->strips(), parts, part + 1)};
    }

    // Bring the packed forms of that share up to date.
    void pack(int part, int parts) {
        for (M& m : matrices_) {
            const auto [from, to] = share(&m, part, parts);
            pack(m, 0, m.K, from, to);
        }
        streams_end();
    }

    // Bring the forms of 8 bits up to date, of what is multiplied with hidden states.
    void pack_bytes() {
        bytes_.resize(matrices_.size());
        for (size_t n = 0; n < matrices_.size(); ++n) {
            const M& m = matrices_[n];
            if (m.multiplied && m.K == shape_.hidden) bytes_[n].pack(weight(&m), m.N, m.up);
        }
    }
    const ByteMatrix& bytes_of(const M* m) const { return bytes_[m->number]; }

    // The sum of the squares of the gradient, for each strip of that share, in `squares`: one
    // number for each strip of all matrices.
    void square_gradients(int part, int parts, double* squares) {
        for (const M& m : matrices_) {
            const auto [from, to] = share(&m, part, parts);
            for (int strip = from; strip < to; ++strip)
                squares[strip] = sum_of_squares(gradient(&m).at(0, strip), m.K);
            squares += m.strips();
        }
    }
    // What a step up reads of packed weights.
    size_t packed_bytes() const {
        size_t words = 0;
        for (const M& m : matrices_) words += m.packed_up.size();
        return words * sizeof(typename P::Word);
    }
    int strips() const {
        int count = 0;
        for (const M& m : matrices_) count += m.strips();
        return count;
    }

    // A step of Adam on that share. What is read in another form is packed while it is in the
    // cache, as many strips together as a word takes columns. A bias comes before the weights.
    void learn(const Adam& adam, int part, int parts) {
        for (auto at = matrices_.rbegin(); at != matrices_.rend(); ++at) {
            M& m = *at;
            const auto [from, to] = share(&m, part, parts);
            for (int strip = from; strip < to; strip += P::PER_WORD) {
                const int end = std::min(to, strip + P::PER_WORD);
                for (int k = 0; k < m.K; k += LANES) {
                    const int last = std::min(m.K, k + LANES);
                    for (int s = strip; s < end; ++s) {
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
    // Rows [first, last) of strips [from, to), in the forms that are read.
    void pack(M& m, int first, int last, int from, int to) {
        if (m.multiplied) {
            pack_rows<P>(weight(&m), m.up, first, last, from, to, m.packed_up.data());
            pack_columns<P>(weight(&m), m.strips(), m.down, first, last, from, to,
                            m.packed_down.data());
        } else if (&m == input[0]) {
            for (int strip = from; strip < to; ++strip) {
                const Vec b = load(weight(bias[0]).at(0, strip));
                const int block = strip / GATES, gate = strip % GATES;
                for (int id = first; id < last; ++id)
                    stream_as(gathered(id, block * GATES * LANES) + gate * LANES,
                              b + load(weight(&m).at(id, strip)));
            }
        }
    }

    M* add(int K, int N, bool multiplied, int widest = PANEL) {
        M& m = matrices_.emplace_back();
        m.number = static_cast<int>(matrices_.size()) - 1;
        m.K = K;
        m.N = N;
        m.at = size_;
        m.multiplied = multiplied;
        m.up = Panels(N / LANES, widest);
        m.down = Panels(divide_up(K, LANES), PANEL);
        size_ += m.size();
        if (multiplied) {
            m.packed_up.need(static_cast<size_t>(m.up_steps()) * N);
            m.packed_down.need(static_cast<size_t>(m.down_steps()) * round_up(K, LANES));
        }
        return &m;
    }

    // f(index in PyTorch's tensor, index in the long array) for each element of a tensor.
    template <class F>
    void for_elements(int tensor, F&& f) const {
        const M* m = &matrices_[tensor];
        const size_t K = m->K;
        auto at = [&](size_t k, size_t column) {
            return m->at + (column / LANES * K + k) * LANES + column % LANES;
        };
        if (m == embedding) {
            const size_t E = shape_.embedding;
            for (size_t v = 0; v < K; ++v)
                for (size_t e = 0; e < E; ++e) f(v * E + e, at(v, e));
        } else if (m == head || m == head_bias) {
            for (size_t v = 0; v < static_cast<size_t>(shape_.vocabulary); ++v)
                for (size_t k = 0; k < K; ++k) f(v * K + k, at(k, v));
        } else {
            const size_t H = shape_.hidden;
            for (size_t g = 0; g < GATES; ++g)
                for (size_t u = 0; u < H; ++u) {
                    const size_t column = (u / LANES * GATES + g) * LANES + u % LANES;
                    for (size_t k = 0; k < K; ++k) f((g * H + u) * K + k, at(k, column));
                }
        }
    }

    const Shape shape_;
    std::deque<M> matrices_;  // in the order of weight_shapes in core/contract.py
    size_t size_ = 0;
    std::vector<ByteMatrix> bytes_;
    Buffer<float> weight_, gradient_, mean_, mean_square_;
    Buffer<float> table_;  // what `gathered` finds
};

}  // namespace charloom::CHARLOOM_ISA
