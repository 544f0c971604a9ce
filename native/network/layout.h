// Where each weight lies: one long array of floats, cut into matrices, and those into strips.
//
// A matrix has K inputs and N outputs, N in whole vectors. The N columns of a layer's matrices are
// interleaved, so that one panel of a product holds all sums of LANES units side by side, and the
// cell is computed where the product ends. An LSTM's four:
//
//     columns   [ i of units 0..15 | f | g | o ] [ i of units 16..31 | f | g | o ] ...
//
// Columns that only fill up a vector stay zero, except in the head's bias: there they are so low
// that characters that do not exist have no share in the softmax.
//
// A tensor need not add to all of the cell's sums. One that is multiplied then has strips for its
// own sums alone, which are a run of the cell's; one that is only added has strips for all of them,
// and those without a group stay zero.
#pragma once

#include <deque>
#include <utility>
#include <vector>

#include "kernels/packing.h"
#include "network/call.h"
#include "network/network.h"

namespace charloom::CHARLOOM_ISA {

struct Matrix {
    int number = 0;
    int K = 0, N = 0;
    size_t at = 0;            // where it starts in the long array
    bool multiplied = false;  // or else only gathered by rows, or added
    std::vector<int> groups;  // of H rows in a layer's tensor: the strip of each in a block
    int sums = 1;             // of a unit, a strip of each block for each of them
    int first_sum = 0;        // of the cell's
    Panels forward;   // over N, for A W
    Panels backward;  // over K, for D W^T

    size_t size() const { return static_cast<size_t>(K) * N; }
    int strips() const { return N / LANES; }
    // Strips whose columns belong to no group have nothing to learn.
    bool learns(int strip) const {
        if (static_cast<int>(groups.size()) == sums || groups.empty()) return true;
        return std::find(groups.begin(), groups.end(), strip % sums) != groups.end();
    }
    // Where its strips are among those of all sums of the cell.
    Runs runs(int cell_sums) const {
        return groups.empty() ? Runs{} : Runs{sums, cell_sums, first_sum};
    }
    // Threads share every matrix by its strips.
    Range share(int part, int parts) const {
        return {part_start(strips(), parts, part), part_start(strips(), parts, part + 1)};
    }
};

class Layout {
public:
    const Shape shape;
    std::deque<Matrix> matrices;  // in the order of the tensors
    const Matrix* embedding = nullptr;
    std::vector<const Matrix*> input, recurrent, bias;  // of each layer
    const Matrix* head = nullptr;
    const Matrix* head_bias = nullptr;
    size_t size = 0;  // of the long array

    Layout(const Shape& shape, const CellInfo& cell) : shape(shape) {
        const int V = round_up(shape.vocabulary, LANES);
        if (shape.embedding)
            embedding = &add(shape.vocabulary, round_up(shape.embedding, LANES), false);
        for (int l = 0; l < shape.layers; ++l) {
            const bool one_hot = l == 0 && !shape.embedding;
            const int inputs = l ? shape.hidden : one_hot ? shape.vocabulary : shape.embedding;
            input.push_back(add_layer(inputs, !one_hot, cell.sums, cell.input));
            recurrent.push_back(add_layer(shape.hidden, true, cell.sums, cell.recurrent));
            bias.push_back(add_layer(1, false, cell.sums, cell.bias));
        }
        head = &add(shape.hidden, V, true);
        head_bias = &add(1, V, false);
    }

    bool one_hot(int layer) const { return layer == 0 && !shape.embedding; }
    Strips<const float> in(const float* array, const Matrix* m) const {
        return {array + m->at, m->K};
    }
    void mask_missing_characters(float* weights) const {
        for (int v = shape.vocabulary; v < head_bias->N; ++v) weights[head_bias->at + v] = -1e30f;
    }

    size_t elements(int tensor) const {
        const Matrix& m = matrices[tensor];
        const size_t rows = &m == embedding                        ? shape.embedding
                            : &m == head || &m == head_bias ? shape.vocabulary
                                                            : m.groups.size() * shape.hidden;
        return rows * m.K;
    }
    // f(index in PyTorch's tensor, index in the long array) for each element of a tensor.
    template <class F>
    void for_elements(int tensor, F&& f) const {
        const Matrix& m = matrices[tensor];
        const size_t K = m.K;
        auto at = [&](size_t k, size_t column) {
            return m.at + (column / LANES * K + k) * LANES + column % LANES;
        };
        if (&m == embedding) {
            const size_t E = shape.embedding;
            for (size_t v = 0; v < K; ++v)
                for (size_t e = 0; e < E; ++e) f(v * E + e, at(v, e));
        } else if (&m == head || &m == head_bias) {
            for (size_t v = 0; v < static_cast<size_t>(shape.vocabulary); ++v)
                for (size_t k = 0; k < K; ++k) f(v * K + k, at(k, v));
        } else {
            const size_t H = shape.hidden;
            for (size_t g = 0; g < m.groups.size(); ++g)
                for (size_t u = 0; u < H; ++u) {
                    const size_t strip = u / LANES * m.sums + m.groups[g];
                    for (size_t k = 0; k < K; ++k)
                        f((g * H + u) * K + k, at(k, strip * LANES + u % LANES));
                }
        }
    }

private:
    const Matrix* add_layer(int K, bool multiplied, int sums, const std::vector<int>& groups) {
        const int first = multiplied ? *std::min_element(groups.begin(), groups.end()) : 0;
        if (multiplied) sums = static_cast<int>(groups.size());
        Matrix& m = add(K, sums * round_up(shape.hidden, LANES), multiplied, sums);
        for (const int sum : groups) m.groups.push_back(sum - first);
        m.sums = sums;
        m.first_sum = first;
        return &m;
    }
    Matrix& add(int K, int N, bool multiplied, int widest = PANEL) {
        Matrix& m = matrices.emplace_back();
        m.number = static_cast<int>(matrices.size()) - 1;
        m.K = K;
        m.N = N;
        m.at = size;
        m.multiplied = multiplied;
        m.forward = Panels(N / LANES, widest);
        m.backward = Panels(divide_up(K, LANES), PANEL);
        size += m.size();
        return m;
    }
};

}  // namespace charloom::CHARLOOM_ISA
