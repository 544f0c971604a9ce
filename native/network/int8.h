// A network whose weights are rounded to 8 bits: a float32 network, but for generation.
//
// Generation keeps hidden states as two bytes a unit (see product_int8.h) and multiplies them with
// packed bytes. What is gathered or added, and an embedding's input weights, stays float32.
//
//     hidden   (L, 2, B, 2 H) bytes    h before the step at 0, after it at 1
#pragma once

#include <algorithm>
#include <functional>
#include <utility>

#include "kernels/product_int8.h"
#include "network/cell_steps.h"
#include "network/generation.h"
#include "network/state.h"
#include "support/threads.h"

namespace charloom::CHARLOOM_ISA {

template <class Cell>
class Int8Network final : public Network {
    static constexpr int SUMS = Cell::SUMS;
    using Input = ColumnsOf<Cell::INPUT>;
    using Recurrent = ColumnsOf<Cell::RECURRENT>;

public:
    Int8Network(std::unique_ptr<Network> float32, const Shape& shape, int threads)
        : float32_(std::move(float32)),
          shape_(shape),
          layout_(shape, float32_->cell()),
          threads_(threads),
          H_(round_up(shape.hidden, LANES)),
          V_(round_up(shape.vocabulary, LANES)),
          packed_(layout_.matrices.size()) {}

    const CellInfo& cell() const override { return float32_->cell(); }
    int tensors() const override { return float32_->tensors(); }
    size_t elements(int tensor) const override { return float32_->elements(tensor); }
    void read(int tensor, Kind kind, float* to) override { float32_->read(tensor, kind, to); }
    void write(int tensor, Kind kind, const float* from) override {
        float32_->write(tensor, kind, from);
        if (kind == Kind::weight) is_packed_ = false;
    }
    StepResult train_step(int T, int B, const int32_t* inputs, const int32_t* targets,
                          StatePointers state, const StepSettings& settings, long step,
                          float* logits) override {
        return float32_->train_step(T, B, inputs, targets, state, settings, step, logits);
    }
    void logits(int T, int B, const int32_t* inputs, StatePointers state,
                float* logits) override {
        float32_->logits(T, B, inputs, state, logits);
    }
    void surprise(int T, int B, const int32_t* inputs, const int32_t* targets,
                  StatePointers state, float* nats, int32_t* ranks) override {
        float32_->surprise(T, B, inputs, targets, state, nats, ranks);
    }
    void trace(int T, int B, const int32_t* inputs, StatePointers state, float* quantities,
               float* logits) override {
        float32_->trace(T, B, inputs, state, quantities, logits);
    }

    void generate(const Generation& asked, StatePointers state) override {
        const int B = asked.B;
        std::vector<int32_t> inputs(asked.last, asked.last + B);
        pack();
        hidden_.need(static_cast<size_t>(shape_.layers) * 2 * B * 2 * H_);
        carry_.need(static_cast<size_t>(shape_.layers) * B * H_);
        last_hidden_.need(static_cast<size_t>(shape_.layers) * B * H_);
        logits_.need(static_cast<size_t>(B) * V_);
        const Streams all{this, B, inputs.data(), {0, B}};
        const int blocks = H_ / LANES;
        auto generate = [&](const Streams& streams, const std::function<void()>& step) {
            streams.load_state(state);
            generate_streams(
                asked, shape_.vocabulary, inputs, step,
                [&](auto&& f) { streams.each_logits(f); }, [&] { streams.advance(); });
            streams.save_state(state);
        };
        auto share = [&](int n, int part) {
            return Range{part_start(n, threads_.count(), part),
                         part_start(n, threads_.count(), part + 1)};
        };
        // Few streams share the units, as in network.cpp.
        if (B < threads_.count() && bytes_read_ >= SHARED_FROM)
            return generate(all, [&] {
                for (int l = 0; l < shape_.layers; ++l)
                    threads_.run([&](int part) { all.step(l, share(blocks, part)); });
            });
        threads_.run([&](int part) {
            const Streams streams{this, B, inputs.data(), share(B, part)};
            if (streams.part.from == streams.part.to) return;
            generate(streams, [&] {
                for (int l = 0; l < shape_.layers; ++l) streams.step(l, {0, blocks});
            });
        });
    }

private:
    // Some of the B streams of a call.
    struct Streams {
        Int8Network* network;
        int B;
        const int32_t* inputs;
        Range part;

        uint8_t* hidden(int l, int after, int b) const {
            const size_t row = (static_cast<size_t>(l) * 2 + after) * B + b;
            return &network->hidden_[row * 2 * network->H_];
        }
        float* row(Buffer<float>& rows, int l, int b) const {
            return &rows[(static_cast<size_t>(l) * B + b) * network->H_];
        }
        template <class F>
        void each_state(F&& f) const {
            for (int l = 0; l < network->shape_.layers; ++l)
                for (int b = part.from; b < part.to; ++b)
                    f(l, b, (static_cast<size_t>(l) * B + b) * network->shape_.hidden);
        }

        void load_state(const StatePointers& state) const {
            const int H = network->shape_.hidden;
            each_state([&](int l, int b, size_t at) {
                each_vector(state.hidden + at, H, [&](int unit, Vec x) {
                    put_int16(hidden(l, 0, b), network->H_, unit, x);
                });
                if (Cell::CARRY == Carry::nothing) return;
                const float* from = Cell::CARRY == Carry::cell ? state.cell : state.hidden;
                each_vector(from + at, H, [&](int unit, Vec x) {
                    store(row(network->carry_, l, b) + unit, x);
                });
            });
        }
        void save_state(const StatePointers& state) const {
            const int H = network->shape_.hidden;
            each_state([&](int l, int b, size_t at) {
                std::copy_n(row(network->last_hidden_, l, b), H, state.hidden + at);
                if (Cell::CARRY == Carry::cell)
                    std::copy_n(row(network->carry_, l, b), H, state.cell + at);
            });
        }
        void advance() const {
            for (int l = 0; l < network->shape_.layers; ++l)
                std::copy(hidden(l, 1, part.from), hidden(l, 1, part.to),
                          hidden(l, 0, part.from));
        }

        void step(int l, Range blocks) const {
            for (int block = blocks.from; block < blocks.to; ++block)
                for (int b = part.from; b < part.to; ++b) step_block(l, block, b);
        }
        void step_block(int l, int block, int b) const {
            const Layout& layout = network->layout_;
            const int strip = block * SUMS, unit = block * LANES;
            const auto bias = network->weight(layout.bias[l]);
            Vec sums[1][SUMS];
            range<0, SUMS>([&](int s) { sums[0][s] = load(bias.at(0, strip + s)); });
            if (l > 0) {
                network->packed(layout.input[l])
                    .template multiply<Input::WIDTH>(hidden(l - 1, 1, b), unit * Input::WIDTH,
                                                     sums[0] + Input::FIRST);
            } else {
                const auto w = network->weight(layout.input[0]);
                if (layout.one_hot(0))
                    range<0, SUMS>([&](int s) { sums[0][s] += load(w.at(inputs[b], strip + s)); });
                else
                    for (int e = 0; e < network->shape_.embedding; ++e) {
                        const auto table = network->weight(layout.embedding);
                        const Vec x = fill(table.at(inputs[b], e / LANES)[e % LANES]);
                        range<0, Input::WIDTH>([&](int s) {
                            Vec& sum = sums[0][Input::FIRST + s];
                            sum = fma(x, load(w.at(e, block * Input::WIDTH + s)), sum);
                        });
                    }
            }
            network->packed(layout.recurrent[l])
                .template multiply<Recurrent::WIDTH>(hidden(l, 0, b), unit * Recurrent::WIDTH,
                                                     sums[0] + Recurrent::FIRST);
            auto done = [&](int, const auto& shown) {
                const Vec h = shown[Cell::QUANTITIES - 1];
                put_int16(hidden(l, 1, b), network->H_, unit, h);
                store(row(network->last_hidden_, l, b) + unit, h);
            };
            Cell::template forward<Float32, false>(sums, row(network->carry_, l, b) + unit, 0,
                                                   nullptr, 0, done);
        }
        // f(stream, its logits, padded to V).
        template <class F>
        void each_logits(F&& f) const {
            const Layout& layout = network->layout_;
            const float* bias = network->weight(layout.head_bias).first;
            for (int b = part.from; b < part.to; ++b) {
                float* logits = &network->logits_[static_cast<size_t>(b) * network->V_];
                for_panels(layout.head->forward, [&](int column, auto width) {
                    constexpr int C = decltype(width)::value;
                    Vec sums[C];
                    for (int c = 0; c < C; ++c) sums[c] = load(bias + column + c * LANES);
                    network->packed(layout.head)
                        .template multiply<C>(hidden(network->shape_.layers - 1, 1, b), column,
                                              sums);
                    for (int c = 0; c < C; ++c) store(logits + column + c * LANES, sums[c]);
                });
                f(b, logits);
            }
        }
    };

    Strips<const float> weight(const Matrix* m) const { return layout_.in(weights_.data(), m); }
    const Int8Matrix& packed(const Matrix* m) const { return packed_[m->number]; }

    // Take over the weights of the float32 network, where they were written since.
    void pack() {
        if (is_packed_) return;
        weights_.need(layout_.size);
        layout_.mask_missing_characters(weights_.data());
        bytes_read_ = 0;
        std::vector<float> tensor;
        for (const Matrix& m : layout_.matrices) {
            tensor.resize(elements(m.number));
            read(m.number, Kind::weight, tensor.data());
            layout_.for_elements(m.number, [&](size_t outside, size_t inside) {
                weights_[inside] = tensor[outside];
            });
            if (!m.multiplied || &m == layout_.input[0]) continue;
            packed_[m.number].pack(weight(&m), m.N, m.forward);
            bytes_read_ += m.size();
        }
        is_packed_ = true;
    }

    const std::unique_ptr<Network> float32_;
    const Shape shape_;
    const Layout layout_;
    Threads threads_;
    const int H_, V_;  // padded to whole vectors
    std::vector<Int8Matrix> packed_;
    bool is_packed_ = false;
    size_t bytes_read_ = 0;  // for each step
    Buffer<float> weights_, carry_, last_hidden_, logits_;
    Buffer<uint8_t> hidden_;
};

}  // namespace charloom::CHARLOOM_ISA
