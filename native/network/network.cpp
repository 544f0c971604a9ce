// The whole network: ids -> LSTM layers -> logits, and back, and Adam.
//
// Compiled once per instruction set. A call reads from top to bottom: the verbs come first,
// then the workspace they share, then the way up, the head, the way down, the gradients.
//
// Threads share the work of one step in two ways, neither of which adds across threads:
// on the way up and down each has its own streams, with no waiting at all; for the weight
// gradients and Adam each has its own strips. A single stream they share by its units.
#include "network/network.h"

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>

#include "kernels/product_int8.h"
#include "kernels/cells.h"
#include "kernels/product.h"
#include "kernels/gradients.h"
#include "kernels/softmax.h"
#include "kernels/adam.h"
#include "support/random.h"
#include "network/sampler.h"
#include "network/weights.h"

namespace charloom::CHARLOOM_ISA {
namespace {

// The number of rows of a tile.
template <class Tile>
constexpr int rows_of = std::extent_v<std::remove_reference_t<Tile>>;

// What a forward pass is for. It is compiled for each: a question in the loop over rows, or a call,
// empties all registers.
enum class For { reading, tracing, learning };

template <class P, class Cell>
class NetworkOf final : public Network {
    using Word = typename P::Word;
    static constexpr int GATES = Cell::GATES;
    // words of tape: a stream, a block
    static constexpr int STEP = Cell::PAIRS * P::PAIR;
    static constexpr bool BYTES = HAS_BYTES && std::is_same_v<P, Float32>;
    static constexpr size_t SHARED_FROM = size_t{1} << 20;  // bytes: a second-level cache

public:
    // With `bytes`, text is written with weights of 8 bits, if this processor can do that.
    NetworkOf(const Shape& shape, int threads, bool bytes = false)
        : shape_(shape),
          bytes_(BYTES && bytes),
          threads_(threads),
          w_(shape),
          H_(round_up(shape.hidden, LANES)),
          G_(GATES * H_),
          V_(round_up(shape.vocabulary, LANES)),
          E_(round_up(shape.embedding, LANES)),
          blocks_(H_ / LANES),
          row_words_(words_apart(H_)),
          gate_words_(words_apart(G_)),
          logit_words_(words_apart(V_)),
          embedding_words_(words_apart(E_)) {
        out_.resize(shape.layers);
        dropped_.resize(shape.layers);
        cell_.resize(shape.layers);
        tape_.resize(shape.layers);
        d_sums_.resize(shape.layers);
        d_cell_.resize(shape.layers);
    }

    void read(int tensor, Kind kind, float* to) override { w_.read(tensor, kind, to); }
    void write(int tensor, Kind kind, const float* from) override {
        w_.write(tensor, kind, from);
        if (kind == Kind::weight) packed_ = bytes_packed_ = false;
    }

    StepResult train_step(int T, int B, const int32_t* inputs, const int32_t* targets,
                          StatePointers state, const StepSettings& settings,
                          long step) override {
        StepResult result{0, 0, 0, false};
        int first_target = T * B;  // rows before it need no logits
        for (int r = 0; r < T * B; ++r)
            if (targets[r] >= 0) {
                ++result.characters;
                first_target = std::min(first_target, r);
            }
        begin(T, B, inputs, true);
        need_slopes(settings);
        head_from_ = first_target / B;
        squares_.need(w_.strips());
        float weight = 1.0f / static_cast<float>(result.characters);

        pack();
        threads_.run([&](int part) {
            const auto [from, to] = share(B, part);
            if (part == 0) rows_by_id_.order(inputs, T * B, shape_.vocabulary);
            load_state(state, from, to);
            forward<For::learning>(from, to);
            save_state(state, from, to);
            if (result.characters == 0) return;
            learn_rows(targets, weight, from, to);
            backward(from, to);
        });
        if (result.characters == 0) return result;
        threads_.run([&](int part) {
            weight_gradients(part);
            w_.square_gradients(part, threads_.count(), squares_.data());
        });
        double squares = 0;
        for (size_t n = 0; n < squares_.size(); ++n) squares += squares_[n];
        result.nats = sum_of_nats(&surprises_[head_from_ * B], (T - head_from_) * B);
        const double norm = result.gradient_norm = std::sqrt(squares);
        result.updated = std::isfinite(norm) && std::isfinite(result.nats);
        if (!result.updated) return result;

        const double clip = settings.clip_norm;
        const Adam adam(settings.learning_rate, settings.beta1, settings.beta2,
                        settings.epsilon, clip > 0 && norm > clip ? clip / norm : 1, step);
        threads_.run([&](int part) { w_.learn(adam, part, threads_.count()); });
        return result;
    }

    void logits(int T, int B, const int32_t* inputs, StatePointers state,
                float* logits) override {
        const int V = shape_.vocabulary;
        look(T, B, inputs, state, [&](int row, const float* values) {
            std::memcpy(logits + static_cast<size_t>(row) * V, values, sizeof(float) * V);
        });
    }

    void surprise(int T, int B, const int32_t* inputs, const int32_t* targets,
                  StatePointers state, float* nats, int32_t* ranks) override {
        look(T, B, inputs, state, [&](int row, float* values) {
            int target = targets[row];
            nats[row] = 0;
            if (ranks) ranks[row] = 0;
            if (target < 0) return;
            float logit = values[target];
            if (ranks) ranks[row] = rank_of(values, shape_.vocabulary, target);
            const Softmax s = softmax(values, V_);
            nats[row] = Surprise{s.total, s.most - logit}.nats();
        });
    }

    void trace(int T, int B, const int32_t* inputs, StatePointers state, float* quantities,
               float* logits) override {
        quantities_ = quantities;
        this->logits(T, B, inputs, state, logits);
        quantities_ = nullptr;
    }

    void generate(int B, const int32_t* last, StatePointers state, int length,
                  const Sampling& sampling, const uint64_t* seeds, long start,
                  int32_t* ids) override {
        std::vector<int32_t> inputs(last, last + B);
        begin(1, B, inputs.data(), false);
        pack();
        if (bytes_) need_bytes();
        in_bytes_ = bytes_;
        auto write = [&](int from, int to, auto&& step_up) {
            Sampler sampler(sampling, shape_.vocabulary);
            load_state(state, from, to);
            for (int n = 0; n < length; ++n) {
                step_up();
                each_logits(0, from, to, [&](int b, const float* values) {
                    inputs[b] = sampler.draw(values, uniform(seeds[b], start + n));
                    ids[static_cast<size_t>(n) * B + b] = inputs[b];
                });
                if (n + 1 < length) next_step(from, to);
            }
            save_state(state, from, to);
        };
        // Too few streams for all threads: they share the units of each layer, if reading its
        // weights takes longer than waiting for each other.
        if (B < threads_.count() && w_.packed_bytes() / (bytes_ ? 4 : 1) >= SHARED_FROM)
            return write(0, B, [&] {
                embed(0, B);
                for (int l = 0; l < shape_.layers; ++l)
                    threads_.run([&](int part) {
                        const auto [first, end] = share(blocks_, part);
                        forward_step<For::reading>(l, 0, first, end, 0, B);
                    });
            });
        threads_.run([&](int part) {
            const auto [from, to] = share(B, part);
            if (from < to)
                write(from, to, [&, from = from, to = to] { forward<For::reading>(from, to); });
        });
    }

private:
    // Bring the packed forms up to date, where weights were written from outside.
    void pack() {
        if (packed_) return;
        threads_.run([&](int part) { w_.pack(part, threads_.count()); });
        packed_ = true;
    }

    // From one row of so many columns to the next. Rows of a tile that were a multiple of many
    // cache lines apart would all want the same few places in the cache.
    static int words_apart(int columns) {
        constexpr int LINE = 64 / sizeof(Word);
        const int words = columns / P::PER_WORD;
        return words % (8 * LINE) == 0 ? words + LINE : words;
    }

    std::pair<int, int> share(int n, int part) const {
        return {part_start(n, threads_.count(), part), part_start(n, threads_.count(), part + 1)};
    }

    // --- one call's workspace ---
    //
    //     out_[l]      (T + 1, B, H) words    h before step t is at t, after it at t + 1
    //     dropped_[l]  (T, B, H) words        what goes up, where there is dropout
    //     cell_[l]     (B, H) floats          c after the last step, of an LSTM
    //     tape_[l]     (T, block, B, ...)     to train
    //     d_sums_[l]   (T, B, G) words        slope of the loss by the gates' sums
    //     d_cell_[l]   (B, H) floats          slope by the cell, from the later step

    void begin(int T, int B, const int32_t* inputs, bool keep_tape) {
        T_ = T;
        B_ = B;
        inputs_ = inputs;
        in_bytes_ = false;
        threshold_ = 0;
        const size_t rows = static_cast<size_t>(T) * B;
        for (int l = 0; l < shape_.layers; ++l) {
            out_[l].need((rows + B) * row_words_);
            cell_[l].need(static_cast<size_t>(B) * H_);
            if (keep_tape) tape_[l].need(rows * blocks_ * STEP);
        }
        if (shape_.embedding) embedded_.need(rows * embedding_words_);
        last_hidden_.need(static_cast<size_t>(shape_.layers) * B * H_);
    }
    void need_slopes(const StepSettings& settings) {
        if (settings.dropout > 0) {
            threshold_ = static_cast<uint32_t>(
                std::min(settings.dropout * 4294967296.0, 4294967295.0));
            keep_scale_ = static_cast<float>(1 / (1 - settings.dropout));
            dropout_key_ = settings.dropout_key;
        }
        const size_t rows = static_cast<size_t>(T_) * B_;
        for (int l = 0; l < shape_.layers; ++l) {
            d_sums_[l].need(rows * gate_words_);
            d_cell_[l].need(static_cast<size_t>(B_) * H_);
            if (threshold_) dropped_[l].need(rows * row_words_);
        }
        surprises_.need(rows);
        d_logits_.need(rows * logit_words_);
        if (shape_.embedding) d_embedded_.need(rows * E_);
    }
    Word* out(int l, int t, int b) {
        return &out_[l][(static_cast<size_t>(t) * B_ + b) * row_words_];
    }
    // What the layer above, or the head, reads of step t.
    const Word* above(int l, int t, int b) {
        return threshold_ ? dropped(l, t, b) : out(l, t + 1, b);
    }
    Word* dropped(int l, int t, int b) {
        return &dropped_[l][(static_cast<size_t>(t) * B_ + b) * row_words_];
    }
    float* cell(int l, int b) { return &cell_[l][static_cast<size_t>(b) * H_]; }
    Word* tape(int l, int t, int block, int b) {
        return &tape_[l][((static_cast<size_t>(t) * blocks_ + block) * B_ + b) * STEP];
    }
    Word* d_sums(int l, int t, int b) {
        return &d_sums_[l][(static_cast<size_t>(t) * B_ + b) * gate_words_];
    }
    Word* d_logits(int t, int b) {
        return &d_logits_[(static_cast<size_t>(t) * B_ + b) * logit_words_];
    }
    Word* embedded(int t, int b) {
        return &embedded_[(static_cast<size_t>(t) * B_ + b) * embedding_words_];
    }
    float* last_hidden(int l, int b) {
        return &last_hidden_[(static_cast<size_t>(l) * B_ + b) * H_];
    }

    void load_state(StatePointers state, int from, int to) {
        const int H = shape_.hidden;
        std::vector<float> row(H_);
        for (int l = 0; l < shape_.layers; ++l)
            for (int b = from; b < to; ++b) {
                const size_t at = (static_cast<size_t>(l) * B_ + b) * H;
                std::copy_n(state.hidden + at, H, row.data());
                for (int u = 0; u < H_; u += LANES) {
                    P::put(out(l, 0, b), u, load(&row[u]));
                    if (in_bytes_) put_bytes(row_of_bytes(l, 0, b), H_, u, load(&row[u]));
                }
                if (!Cell::HAS_CELL) continue;
                std::copy_n(state.cell + at, H, cell(l, b));
                std::fill(cell(l, b) + H, cell(l, b) + H_, 0.0f);
            }
    }

    void save_state(StatePointers state, int from, int to) {
        const int H = shape_.hidden;
        for (int l = 0; l < shape_.layers; ++l)
            for (int b = from; b < to; ++b) {
                const size_t at = (static_cast<size_t>(l) * B_ + b) * H;
                std::copy_n(last_hidden(l, b), H, state.hidden + at);
                if (Cell::HAS_CELL) std::copy_n(cell(l, b), H, state.cell + at);
            }
    }

    // After one step of generation: what it left is where the next one starts.
    void next_step(int from, int to) {
        for (int l = 0; l < shape_.layers; ++l)
            if (in_bytes_)
                std::copy(row_of_bytes(l, 1, from), row_of_bytes(l, 1, to),
                          row_of_bytes(l, 0, from));
            else
                std::copy(out(l, 1, from), out(l, 1, to), out(l, 0, from));
    }

    // --- one step up with weights of 8 bits ---
    //
    //     row_of_bytes(l, t, b)   h as in `out`, before the step at t = 0, after it at t = 1

    void need_bytes() {
        bytes_of_hidden_.need(static_cast<size_t>(shape_.layers) * 2 * B_ * 2 * H_);
        if (bytes_packed_) return;
        w_.pack_bytes();
        bytes_packed_ = true;
    }
    uint8_t* row_of_bytes(int l, int t, int b) {
        return &bytes_of_hidden_[((static_cast<size_t>(l) * 2 + t) * B_ + b) * 2 * H_];
    }

    void step_in_bytes(int l, int first_block, int last_block, int from, int to) {
        for (int block = first_block; block < last_block; ++block)
            for (int b = from; b < to; ++b) {
                const int column = block * GATES * LANES, unit = block * LANES;
                const bool one_hot = l == 0 && !shape_.embedding;
                const float* start = one_hot ? w_.gathered(inputs_[b], column)
                                             : w_.weight(w_.bias[l]).at(0, block * GATES);
                Vec sums[1][GATES];
                range<0, GATES>([&](int g) { sums[0][g] = load(start + g * LANES); });
                if (l > 0) {
                    w_.bytes_of(w_.input[l]).multiply(row_of_bytes(l - 1, 1, b), column, sums[0]);
                } else if (!one_hot) {
                    const Term<P> term =
                        w_.input[0]->up_term(embedded(0, b), embedding_words_, column);
                    accumulate<P>(sums, term.a, 0, 1, term.b, term.steps);
                }
                w_.bytes_of(w_.recurrent[l]).multiply(row_of_bytes(l, 0, b), column, sums[0]);
                auto done = [&](int, const auto& shown) {
                    const Vec hidden = shown[Cell::QUANTITIES - 1];
                    put_bytes(row_of_bytes(l, 1, b), H_, unit, hidden);
                    store(last_hidden(l, b) + unit, hidden);
                };
                Cell::template forward<P, false>(sums, cell(l, b) + unit, 0, nullptr, 0, done);
            }
    }

    // --- up: ids -> hidden states, for streams [from, to) ---

    template <For FOR>
    void forward(int from, int to) {
        if (from == to) return;
        embed(from, to);
        for (int l = 0; l < shape_.layers; ++l)
            for (int t = 0; t < T_; ++t) forward_step<FOR>(l, t, 0, blocks_, from, to);
    }

    void embed(int from, int to) {
        if (!shape_.embedding) return;
        const auto table = w_.weight(w_.embedding);
        for (int t = 0; t < T_; ++t)
            for (int b = from; b < to; ++b)
                for (int e = 0; e < E_; e += LANES)
                    P::put(embedded(t, b), e, load(table.at(inputs_[t * B_ + b], e / LANES)));
    }

    template <For FOR>
    void forward_step(int l, int t, int first_block, int last_block, int from, int to) {
        if constexpr (BYTES)
            if (in_bytes_) return step_in_bytes(l, first_block, last_block, from, to);
        for (int block = first_block; block < last_block; ++block)
            forward_block<FOR>(l, t, block, from, to);
    }

    template <For FOR>
    void forward_block(int l, int t, int block, int from, int to) {
        const int column = block * GATES * LANES, unit = block * LANES;
        const float* bias = w_.weight(w_.bias[l]).at(0, block * GATES);
        const bool one_hot = l == 0 && !shape_.embedding;
        const int32_t* ids = inputs_ + t * B_;
        auto start = [&](int b, auto& sums) __attribute__((always_inline)) {
            for (auto& row : sums) {
                const float* from = one_hot ? w_.gathered(ids[b++], column) : bias;
                for (int g = 0; g < GATES; ++g) row[g] = load(from + g * LANES);
            }
        };

        Term<P> input;
        if (l > 0)
            input = w_.input[l]->up_term(above(l - 1, t, 0), row_words_, column);
        else if (!one_hot)
            input = w_.input[0]->up_term(embedded(t, 0), embedding_words_, column);
        const Term<P> recurrent = w_.recurrent[l]->up_term(out(l, t, 0), row_words_, column);

        const bool last = t == T_ - 1;
        const uint32_t key = dropout_layer_key(dropout_key_, l);
        auto end = [&](int b, auto& sums) __attribute__((always_inline)) {
            float* cells = cell(l, b) + unit;
            Word* kept_here = FOR == For::learning ? tape(l, t, block, b) : nullptr;
            Word* up = out(l, t + 1, b);
            constexpr int R = rows_of<decltype(sums)>;
            Vec hidden[R];
            auto done = [&](int r, const auto& shown) __attribute__((always_inline)) {
                hidden[r] = shown[Cell::QUANTITIES - 1];
                P::put(up + r * row_words_, unit, hidden[r]);
                if constexpr (FOR == For::tracing) show(l, t, b + r, unit, shown);
            };
            Cell::template forward<P, FOR == For::learning>(sums, cells, H_, kept_here, STEP, done);
            if (last)
                for (int r = 0; r < R; ++r) store(last_hidden(l, b + r) + unit, hidden[r]);
            if (FOR == For::learning && threshold_)
                for (int r = 0; r < R; ++r)
                    P::put(dropped(l, t, b + r), unit, hidden[r] * kept(key, t, b + r, unit));
        };
        multiply_rows<P, GATES>(from, to, input, recurrent, start, end);
    }

    // Quantities of a trace are (Q, L, T, B, H).
    void show(int l, int t, int b, int unit, const Vec (&shown)[Cell::QUANTITIES]) {
        const int H = shape_.hidden;
        const size_t row = (static_cast<size_t>(l) * T_ + t) * B_ + b;
        const size_t rows = static_cast<size_t>(shape_.layers) * T_ * B_;
        for (int q = 0; q < Cell::QUANTITIES; ++q)
            std::memcpy(quantities_ + (q * rows + row) * H + unit, &shown[q],
                        sizeof(float) * std::min(LANES, H - unit));
    }

    // 1 / (1 - dropout) where a unit is kept, 0 where it is dropped.
    INLINE Vec kept(uint32_t key, int t, int b, int unit) const {
        uint32_t first = (static_cast<uint32_t>(t) * B_ + b) * shape_.hidden + unit;
        Bits bits = mix32((lane_numbers() + first) ^ key);
        return bits >= threshold_ ? fill(keep_scale_) : Vec{};
    }

    // --- the head ---

    // f(stream, its logits, padded to V_) for step t; f may overwrite them.
    template <class F>
    void each_logits(int t, int from, int to, F&& f) {
        const float* bias = w_.weight(w_.head_bias).first;
        thread_local Buffer<float> rows_of_logits;
        rows_of_logits.need(static_cast<size_t>(to - from) * V_);
        auto values = [&](int b) {
            return rows_of_logits.data() + static_cast<size_t>(b - from) * V_;
        };
        for_panels(w_.head->up, [&](int column, auto width) {
            constexpr int C = decltype(width)::value;
            if constexpr (BYTES)
                if (in_bytes_) {
                    for (int b = from; b < to; ++b) {
                        Vec sums[C];
                        range<0, C>([&](int c) { sums[c] = load(bias + column + c * LANES); });
                        w_.bytes_of(w_.head).multiply(row_of_bytes(shape_.layers - 1, 1, b),
                                                      column, sums);
                        range<0, C>(
                            [&](int c) { store(values(b) + column + c * LANES, sums[c]); });
                    }
                    return;
                }
            const Term<P> term =
                w_.head->up_term(above(shape_.layers - 1, t, 0), row_words_, column);
            multiply_rows<P, C>(
                from, to, {}, term,
                [&](int, auto& sums) __attribute__((always_inline)) {
                    for (auto& row : sums)
                        for (int c = 0; c < C; ++c) row[c] = load(bias + column + c * LANES);
                },
                [&](int b, auto& sums) __attribute__((always_inline)) {
                    for (auto& row : sums) {
                        float* to = values(b++) + column;
                        for (int c = 0; c < C; ++c) store(to + c * LANES, row[c]);
                    }
                });
        });
        for (int b = from; b < to; ++b) f(b, values(b));
    }

    void learn_rows(const int32_t* targets, float weight, int from, int to) {
        for (int t = head_from_; t < T_; ++t)
            each_logits(t, from, to, [&](int b, float* values) {
                const int row = t * B_ + b, target = targets[row];
                if (target < 0) {
                    surprises_[row] = {1, 0};
                    std::fill_n(d_logits(t, b), logit_words_, Word{});
                    return;
                }
                const float logit = values[target];
                const Softmax s = softmax(values, V_);
                surprises_[row] = {s.total, s.most - logit};
                slope<P>(values, V_, target, s, weight, d_logits(t, b));
            });
    }

    // A forward pass alone; f(row, its logits).
    template <class F>
    void look(int T, int B, const int32_t* inputs, StatePointers state, F&& f) {
        begin(T, B, inputs, false);
        pack();
        threads_.run([&](int part) {
            const auto [from, to] = share(B, part);
            load_state(state, from, to);
            quantities_ ? forward<For::tracing>(from, to) : forward<For::reading>(from, to);
            for (int t = 0; t < T; ++t)
                each_logits(t, from, to,
                            [&](int b, float* values) { f(t * B + b, values); });
            save_state(state, from, to);
        });
    }

    // --- down: slopes by every gate's sum, for streams [from, to) ---

    void backward(int from, int to) {
        if (from == to) return;
        for (int l = shape_.layers - 1; l >= 0; --l) {
            std::fill(&d_cell_[l][static_cast<size_t>(from) * H_],
                      &d_cell_[l][0] + static_cast<size_t>(to) * H_, 0.0f);
            for (int t = T_ - 1; t >= 0; --t)
                for_panels(w_.recurrent[l]->down, [&](int unit, auto width) {
                    backward_panel<decltype(width)::value>(l, t, unit, from, to);
                });
        }
        if (shape_.embedding) backward_embedding(from, to);
    }

    template <int C>
    void backward_panel(int l, int t, int unit, int from, int to) {
        const int block = unit / LANES;
        Term<P> from_above, from_later;
        if (l < shape_.layers - 1)
            from_above = w_.input[l + 1]->down_term(d_sums(l + 1, t, 0), gate_words_, unit);
        else if (t >= head_from_)
            from_above = w_.head->down_term(d_logits(t, 0), logit_words_, unit);
        if (t + 1 < T_)
            from_later = w_.recurrent[l]->down_term(d_sums(l, t + 1, 0), gate_words_, unit);

        const uint32_t key = dropout_layer_key(dropout_key_, l);
        const ptrdiff_t next_block = static_cast<ptrdiff_t>(B_) * STEP;
        auto soon = [&](int b, auto rows) __attribute__((always_inline)) {
            const Word* kept = tape(l, t, block, b);
            each<rows, C>([&](int r, int c) {
                for (int v = 0; v < STEP; v += LANES)
                    __builtin_prefetch(kept + c * next_block + r * STEP + v);
            });
        };
        auto drop = [&](int b, auto& d_above) __attribute__((always_inline)) {
            if (!threshold_) return;
            each<rows_of<decltype(d_above)>, C>([&](int r, int c) {
                d_above[r][c] *= kept(key, t, b + r, unit + c * LANES);
            });
        };
        auto end = [&](int b, auto& d_hidden) __attribute__((always_inline)) {
            constexpr int R = rows_of<decltype(d_hidden)>;
            const Word* kept = tape(l, t, block, b);
            float* d_cell = &d_cell_[l][static_cast<size_t>(b) * H_ + unit];
            Word* down = d_sums(l, t, b);
            each<R, C>([&](int r, int c) {
                Vec slopes[GATES];
                Cell::template backward<P>(d_hidden[r][c], d_cell + r * H_ + c * LANES,
                                           kept + c * next_block + r * STEP, slopes);
                P::put(down + r * gate_words_, (block + c) * GATES * LANES, slopes);
            });
        };
        multiply_rows<P, C>(from, to, from_above, from_later, zero, end, drop, soon);
    }

    void backward_embedding(int from, int to) {
        for (int t = 0; t < T_; ++t)
            for_panels(w_.input[0]->down, [&](int column, auto width) {
                constexpr int C = decltype(width)::value;
                const Term<P> term = w_.input[0]->down_term(d_sums(0, t, 0), gate_words_, column);
                multiply_rows<P, C>(
                    from, to, {}, term, zero,
                    [&](int b, auto& slopes) __attribute__((always_inline)) {
                        for (auto& row : slopes) {
                            const size_t r = static_cast<size_t>(t) * B_ + b++;
                            for (int c = 0; c < C; ++c)
                                store(&d_embedded_[r * E_ + column + c * LANES], row[c]);
                        }
                    });
            });
    }

    // --- weight gradients, each thread its own strips ---

    void weight_gradients(int part) {
        const int rows = T_ * B_, top = shape_.layers - 1;
        for (int l = 0; l <= top; ++l) {
            const Rows<P> slopes{d_sums_[l].data(), gate_words_};
            const auto share = w_.share(w_.recurrent[l], part, threads_.count());
            const int from = share.first, to = share.second;
            auto product = [&](const Matrix<P>* m, const Word* a, int words) {
                transposed_product<P>(w_.gradient(m), {a, words}, slopes, 0, rows, from, to);
            };
            product(w_.recurrent[l], out_[l].data(), row_words_);
            if (l > 0)
                product(w_.input[l], above(l - 1, 0, 0), row_words_);
            else if (shape_.embedding)
                product(w_.input[0], embedded_.data(), embedding_words_);
            const auto bias = w_.gradient(w_.bias[l]);
            if (l == 0 && !shape_.embedding)
                scatter(w_.gradient(w_.input[0]), &bias, rows_by_id_, slopes, from, to);
            else
                column_sums<P>(bias, slopes, 0, rows, from, to);
        }
        const Rows<P> slopes{d_logits_.data(), logit_words_};
        const auto [from, to] = w_.share(w_.head, part, threads_.count());
        transposed_product<P>(w_.gradient(w_.head), {above(top, 0, 0), row_words_}, slopes,
                              head_from_ * B_, rows, from, to);
        column_sums<P>(w_.gradient(w_.head_bias), slopes, head_from_ * B_, rows, from, to);
        if (shape_.embedding) {
            const auto [first, last] = w_.share(w_.embedding, part, threads_.count());
            const Rows<Float32> d_rows{d_embedded_.data(), E_};
            scatter(w_.gradient(w_.embedding), nullptr, rows_by_id_, d_rows, first, last);
        }
    }

    const Shape shape_;
    const bool bytes_;
    Threads threads_;
    Weights<P, GATES> w_;
    const int H_, G_, V_, E_, blocks_;  // padded to whole vectors
    const int row_words_, gate_words_, logit_words_, embedding_words_;  // from row to row

    bool packed_ = false, bytes_packed_ = false;  // since weights were written from outside?

    int T_ = 0, B_ = 0, head_from_ = 0;
    const int32_t* inputs_ = nullptr;
    bool in_bytes_ = false;
    float* quantities_ = nullptr;  // where a trace goes
    uint32_t threshold_ = 0, dropout_key_ = 0;
    float keep_scale_ = 1;
    std::vector<Buffer<Word>> out_, dropped_, tape_, d_sums_;
    std::vector<Buffer<float>> cell_, d_cell_;
    Buffer<Word> embedded_, d_logits_;
    Buffer<float> d_embedded_, last_hidden_;
    Buffer<Surprise> surprises_;
    Buffer<double> squares_;
    Buffer<uint8_t> bytes_of_hidden_;
    RowsById rows_by_id_;
};

template <class Cell>
std::unique_ptr<Network> network_of(const Shape& shape, Precision precision, int threads) {
    if (precision == Precision::bfloat16)
        return std::make_unique<NetworkOf<Bfloat16, Cell>>(shape, threads);
    return std::make_unique<NetworkOf<Float32, Cell>>(shape, threads,
                                                      precision == Precision::int8);
}

}  // namespace

std::unique_ptr<Network> make_network(const Shape& shape, Precision precision, int threads) {
    return shape.lstm ? network_of<Lstm>(shape, precision, threads)
                      : network_of<Rnn>(shape, precision, threads);
}

}  // namespace charloom::CHARLOOM_ISA
