// The whole network: ids -> layers of cells -> logits, the gradients back, and Adam.
//
// Compiled once for each instruction set and precision; the cells are compiled apart (see
// cell_steps.h). A call makes a Pass, and the files named after its parts read and fill it.
//
// Threads share the work of one step in two ways, neither of which adds across threads: in the
// forward and backward pass each has its own streams, with no waiting at all; for the weight
// gradients and Adam each has its own strips. A single stream they share by its units.
#include "network/network.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <stdexcept>

#include "network/cell_steps.h"
#include "network/ends.h"
#include "network/generation.h"
#include "network/state.h"
#include "network/weight_gradients.h"
#include "support/threads.h"

namespace charloom::CHARLOOM_ISA {
namespace {

template <class P>
class NetworkOf final : public Network {
public:
    NetworkOf(const CellSteps<P>& cell, const Shape& shape, int threads)
        : cell_(cell),
          shape_(shape),
          size_(Sizes::of<P>(shape, cell.info, cell.tape)),
          threads_(threads),
          weights_(shape, cell.info) {}

    const CellInfo& cell() const override { return cell_.info; }
    int tensors() const override { return static_cast<int>(weights_.layout.matrices.size()); }
    size_t elements(int tensor) const override { return weights_.layout.elements(tensor); }
    void read(int tensor, Kind kind, float* to) override { weights_.read(tensor, kind, to); }
    void write(int tensor, Kind kind, const float* from) override {
        weights_.write(tensor, kind, from);
    }

    StepResult train_step(int T, int B, const int32_t* inputs, const int32_t* targets,
                          StatePointers state, const StepSettings& settings, long step,
                          float* logits) override {
        if constexpr (TRAINS) return learn(T, B, inputs, targets, state, settings, step, logits);
        left_out("compiled without training");
    }

    void logits(int T, int B, const int32_t* inputs, StatePointers state,
                float* logits) override {
        look({T, B, inputs, state}, copy_to(logits));
    }

    void trace(int T, int B, const int32_t* inputs, StatePointers state, float* quantities,
               float* logits) override {
        if constexpr (!TRAINS) left_out("compiled without traces");
        look({T, B, inputs, state, Mode::tracing, quantities}, copy_to(logits));
    }

    void surprise(int T, int B, const int32_t* inputs, const int32_t* targets,
                  StatePointers state, float* nats, int32_t* ranks) override {
        look({T, B, inputs, state}, [&](size_t row, float* logits) {
            const int target = targets[row];
            nats[row] = 0;
            if (ranks) ranks[row] = 0;
            if (target < 0) return;
            const float logit = logits[target];
            if (ranks) ranks[row] = rank_of(logits, shape_.vocabulary, target);
            const Softmax s = softmax(logits, size_.V);
            nats[row] = Surprisal{s.total, s.most - logit}.nats();
        });
    }

    void generate(const Generation& asked, StatePointers state) override {
        const int B = asked.B;
        std::vector<int32_t> inputs(asked.last, asked.last + B);
        const Pass<P> pass = begin({1, B, inputs.data(), state});
        auto generate = [&](Range streams, const std::function<void()>& step) {
            load_state(pass, cell_.info.carry, streams);
            generate_streams(
                asked, shape_.vocabulary, inputs, step,
                [&](auto&& f) { each_logits(pass, 0, streams, f); },
                [&] { next_step(pass, streams); });
            save_state(pass, cell_.info.carry, streams);
        };
        // Too few streams for all threads: they share the units of each layer, if reading its
        // weights takes longer than waiting for each other.
        if (B < threads_.count() && weights_.packed_bytes() >= SHARED_FROM) {
            const Range all{0, B};
            return generate(all, [&] {
                embed(pass, all);
                for (int l = 0; l < shape_.layers; ++l)
                    run([&](int part) {
                        cell_.read(pass, l, 0, share(size_.blocks, part), all);
                    });
            });
        }
        run([&](int part) {
            const Range streams = share(B, part);
            if (streams.from < streams.to)
                generate(streams, [&] { forward_layers(pass, streams); });
        });
    }

private:
    StepResult learn(int T, int B, const int32_t* inputs, const int32_t* targets,
                     StatePointers state, const StepSettings& settings, long step,
                     float* logits) {
        StepResult result{0, 0, 0, false};
        const int rows = T * B;
        int first_target = rows;
        for (int r = 0; r < rows; ++r)
            if (targets[r] >= 0) {
                ++result.characters;
                first_target = std::min(first_target, r);
            }
        const Dropout dropout(settings.dropout, settings.dropout_key);
        const int head_start = first_target / B;
        const Pass<P> pass = begin(
            {T, B, inputs, state, Mode::learning, nullptr, dropout, head_start, logits});
        const float weight = 1.0f / static_cast<float>(result.characters);
        run([&](int part) {
            const Range streams = share(B, part);
            if (part == 0) rows_by_id_.order(inputs, rows, shape_.vocabulary);
            forward(pass, streams);
            if (result.characters == 0) return;
            logit_gradients(pass, targets, weight, streams);
            backward(pass, streams);
        });
        if (result.characters == 0) return result;
        squares_.need(weights_.strips());
        run([&](int part) {
            weight_gradients(pass, rows_by_id_, part, threads_.count());
            weights_.square_gradients(part, threads_.count(), squares_.data());
        });
        double squares = 0;
        for (size_t n = 0; n < squares_.size(); ++n) squares += squares_[n];
        result.nats = sum_of_nats(&pass.memory.surprisals[head_start * B], (T - head_start) * B);
        const double norm = result.gradient_norm = std::sqrt(squares);
        result.updated = std::isfinite(norm) && std::isfinite(result.nats);
        if (!result.updated) return result;

        const double clip = settings.clip_norm;
        const Adam adam(settings.learning_rate, settings.beta1, settings.beta2,
                        settings.epsilon, clip > 0 && norm > clip ? clip / norm : 1, step);
        run([&](int part) { weights_.learn(adam, part, threads_.count()); });
        return result;
    }

    // f(part) on every thread.
    template <class F>
    void run(F&& f) {
        threads_.run([&](int part) {
            f(part);
            tiles_end();
        });
    }

    // The pass of a call, with memory for it and with packed weights.
    Pass<P> begin(const Call& call) {
        activations_.need(call, size_, shape_);
        if (!weights_.is_packed()) {
            run([&](int part) { weights_.pack(part, threads_.count()); });
            weights_.set_packed();
        }
        weights_.find_members(call.mode == Mode::learning);
        return {call, shape_, size_, weights_, activations_};
    }

    Range share(int n, int part) const {
        return {part_start(n, threads_.count(), part), part_start(n, threads_.count(), part + 1)};
    }

    void forward_layers(const Pass<P>& pass, Range streams) {
        const auto forward = cell_.forward(pass.call.mode);
        embed(pass, streams);
        for (int l = 0; l < shape_.layers; ++l)
            for (int t = 0; t < pass.call.T; ++t)
                forward(pass, l, t, {0, size_.blocks}, streams);
    }
    void forward(const Pass<P>& pass, Range streams) {
        if (streams.from == streams.to) return;
        load_state(pass, cell_.info.carry, streams);
        forward_layers(pass, streams);
        save_state(pass, cell_.info.carry, streams);
    }

    void backward(const Pass<P>& pass, Range streams) {
        if (streams.from == streams.to) return;
        for (int l = shape_.layers - 1; l >= 0; --l) {
            std::fill(pass.d_carry(l, streams.from), pass.d_carry(l, streams.to), 0.0f);
            for (int t = pass.call.T - 1; t >= 0; --t) cell_.backward(pass, l, t, streams);
        }
        embedding_gradients(pass, streams);
    }

    // A forward pass alone; f(row, its logits).
    template <class F>
    void look(const Call& call, F&& f) {
        const Pass<P> pass = begin(call);
        run([&](int part) {
            const Range streams = share(call.B, part);
            forward(pass, streams);
            for (int t = 0; t < call.T; ++t)
                each_logits(pass, t, streams,
                            [&](int b, float* logits) { f(pass.row(t, b), logits); });
        });
    }
    auto copy_to(float* all) const {
        return [all, V = shape_.vocabulary](size_t row, const float* logits) {
            std::memcpy(all + row * V, logits, sizeof(float) * V);
        };
    }

    const CellSteps<P> cell_;
    const Shape shape_;
    const Sizes size_;
    Threads threads_;
    Weights<P> weights_;
    Activations<P> activations_;
    RowsById rows_by_id_;
    Buffer<double> squares_;
};

}  // namespace

template <class P>
std::unique_ptr<Network> make_network(const CellSteps<P>& cell, const Shape& shape, int threads) {
    return std::make_unique<NetworkOf<P>>(cell, shape, threads);
}

template std::unique_ptr<Network> make_network(const CellSteps<precisions::CHARLOOM_PRECISION>&,
                                               const Shape&, int threads);

}  // namespace charloom::CHARLOOM_ISA
