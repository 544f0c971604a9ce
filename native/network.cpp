// The whole network: ids -> LSTM layers -> logits, and back, and Adam.
//
// Compiled once per instruction set. A call reads from top to bottom: the verbs come first,
// then the workspace they share, then the way up, the head, the way down, the gradients.
//
// Threads share the work of one step in two ways, neither of which adds across threads:
// on the way up and down each has its own streams, with no waiting at all; for the weight
// gradients each has its own columns.
#include "network.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "cell.h"
#include "gemm.h"
#include "gradients.h"
#include "loss.h"
#include "optimizer.h"
#include "random.h"
#include "sampler.h"
#include "weights.h"

namespace charloom::CHARLOOM_ISA {
namespace {

template <class P, class Cell>
class NetworkOf final : public Network {
    using Word = typename P::Word;
    static constexpr int GATES = Cell::GATES;
    static constexpr int STEP = Cell::TAPE * LANES;  // floats of tape: a stream, a block

public:
    NetworkOf(const Shape& shape, int threads)
        : shape_(shape),
          threads_(threads),
          w_(shape),
          H_(round_up(shape.hidden, LANES)),
          G_(GATES * H_),
          V_(round_up(shape.vocabulary, LANES)),
          E_(round_up(shape.embedding, LANES)),
          blocks_(H_ / LANES),
          row_words_(H_ / P::PER_WORD),
          gate_words_(G_ / P::PER_WORD),
          logit_words_(V_ / P::PER_WORD),
          embedding_words_(E_ / P::PER_WORD) {
        out_.resize(shape.layers);
        dropped_.resize(shape.layers);
        tape_.resize(shape.layers);
        d_sums_.resize(shape.layers);
        d_cell_.resize(shape.layers);
    }

    void read(int tensor, Kind kind, float* to) override { w_.read(tensor, kind, to); }
    void write(int tensor, Kind kind, const float* from) override {
        w_.write(tensor, kind, from);
        if (kind == Kind::weight) up_fresh_ = down_fresh_ = false;
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
        const int chunks = static_cast<int>((w_.size() + NORM_CHUNK - 1) / NORM_CHUNK);
        auto chunk_size = [&](int c) { return std::min(NORM_CHUNK, w_.size() - c * NORM_CHUNK); };
        squares_.need(chunks);
        float weight = 1.0f / static_cast<float>(result.characters);

        pack(true);
        threads_.run([&](int part) {
            const auto [from, to] = share(B, part);
            load_state(state, from, to);
            forward(from, to);
            save_state(state, from, to);
            if (result.characters == 0) return;
            learn_rows(targets, weight, from, to);
            backward(from, to);
        });
        if (result.characters == 0) return result;
        threads_.run([&](int part) { weight_gradients(part); });
        threads_.run([&](int part) {
            const auto [first, last] = share(chunks, part);
            for (int c = first; c < last; ++c)
                squares_[c] = sum_of_squares(w_.gradients() + c * NORM_CHUNK, chunk_size(c));
        });
        double squares = 0;
        for (int c = 0; c < chunks; ++c) squares += squares_[c];
        for (int r = head_from_ * B; r < T * B; ++r) result.nats += nats_[r];
        const double norm = result.gradient_norm = std::sqrt(squares);
        result.updated = std::isfinite(norm) && std::isfinite(result.nats);
        if (!result.updated) return result;

        const double clip = settings.clip_norm;
        const Adam adam(settings.learning_rate, settings.beta1, settings.beta2,
                        settings.epsilon, clip > 0 && norm > clip ? clip / norm : 1, step);
        threads_.run([&](int part) {
            const auto [first, last] = share(chunks, part);
            for (int c = first; c < last; ++c) {
                const size_t at = c * NORM_CHUNK;
                adam.update(w_.array(Kind::weight) + at, w_.array(Kind::mean) + at,
                            w_.array(Kind::mean_square) + at, w_.gradients() + at,
                            chunk_size(c));
            }
        });
        up_fresh_ = down_fresh_ = false;
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
            nats[row] = softmax(values, V_).nats(logit);
        });
    }

    void trace(int T, int B, const int32_t* inputs, StatePointers state, float* quantities,
               float* logits) override {
        const int V = shape_.vocabulary, H = shape_.hidden, Q = Cell::QUANTITIES;
        look(T, B, inputs, state, [&](int row, const float* values) {
            std::memcpy(logits + static_cast<size_t>(row) * V, values, sizeof(float) * V);
        }, true);
        for (int l = 0; l < shape_.layers; ++l)
            for (int t = 0; t < T; ++t)
                for (int b = 0; b < B; ++b)
                    for (int u = 0; u < H; u += LANES) {
                        Vec shown[Q];
                        Cell::quantities(tape(l, t + 1, u / LANES, b), shown);
                        for (int q = 0; q < Q; ++q) {
                            float* to = quantities +
                                        (((static_cast<size_t>(q) * shape_.layers + l) * T + t) *
                                             B + b) * H + u;
                            std::memcpy(to, &shown[q], sizeof(float) * std::min(LANES, H - u));
                        }
                    }
    }

    void generate(int B, const int32_t* last, StatePointers state, int length,
                  const Sampling& sampling, const uint64_t* seeds, long start,
                  int32_t* ids) override {
        std::vector<int32_t> inputs(last, last + B);
        begin(1, B, inputs.data(), false);
        pack(false);
        threads_.run([&](int part) {
            const auto [from, to] = share(B, part);
            if (from == to) return;
            Sampler sampler(sampling, shape_.vocabulary);
            load_state(state, from, to);
            for (int n = 0; n < length; ++n) {
                forward(from, to);
                each_logits(0, from, to, [&](int b, const float* values) {
                    inputs[b] = sampler.draw(values, uniform(seeds[b], start + n));
                    ids[static_cast<size_t>(n) * B + b] = inputs[b];
                });
                if (n + 1 < length) next_step(from, to);
            }
            save_state(state, from, to);
        });
    }

private:
    // Bring the packed forms up to date with the weights.
    void pack(bool down_too) {
        const bool up = !up_fresh_, down = down_too && !down_fresh_;
        if (!up && !down) return;
        threads_.run([&](int part) { w_.pack(up, down, part, threads_.count()); });
        up_fresh_ = true;
        down_fresh_ |= down;
    }

    std::pair<int, int> share(int n, int part) const {
        return {part_start(n, threads_.count(), part), part_start(n, threads_.count(), part + 1)};
    }

    // --- one call's workspace ---
    //
    //     out_[l]      (T + 1, B, H) words    h before step t is at t, after it at t + 1
    //     dropped_[l]  (T, B, H) words        what goes up, where there is dropout
    //     tape_[l]     (T + 1, block, B, ...) only two steps of it where nothing is kept
    //     d_sums_[l]   (T, B, G) words        slope of the loss by the gates' sums
    //     d_cell_[l]   (B, H) floats          slope by the cell, from the later step

    void begin(int T, int B, const int32_t* inputs, bool keep_tape) {
        T_ = T;
        B_ = B;
        inputs_ = inputs;
        keep_tape_ = keep_tape;
        threshold_ = 0;
        const size_t rows = static_cast<size_t>(T) * B;
        for (int l = 0; l < shape_.layers; ++l) {
            out_[l].need((rows + B) * row_words_);
            tape_[l].need(static_cast<size_t>(keep_tape ? T + 1 : 2) * blocks_ * B * STEP);
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
        nats_.need(rows);
        d_logits_.need(rows * logit_words_);
        if (shape_.embedding) d_embedded_.need(rows * E_);
    }
    Word* out(int l, int t, int b) {
        return &out_[l][(static_cast<size_t>(t) * B_ + b) * row_words_];
    }
    // What the layer above, or the head, reads of step t.
    const Word* above(int l, int t, int b) {
        if (!threshold_) return out(l, t + 1, b);
        return &dropped_[l][(static_cast<size_t>(t) * B_ + b) * row_words_];
    }
    float* tape(int l, int t, int block, int b) {  // after step t - 1
        int slot = keep_tape_ ? t : t & 1;
        return &tape_[l][((static_cast<size_t>(slot) * blocks_ + block) * B_ + b) * STEP];
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
                for (int u = 0; u < H_; u += LANES) P::put(out(l, 0, b), u, load(&row[u]));
                if (Cell::KEPT < 0) continue;
                std::copy_n(state.cell + at, H, row.data());
                for (int j = 0; j < blocks_; ++j)
                    store(tape(l, 0, j, b) + Cell::KEPT * LANES, load(&row[j * LANES]));
            }
    }

    void save_state(StatePointers state, int from, int to) {
        const int H = shape_.hidden;
        for (int l = 0; l < shape_.layers; ++l)
            for (int b = from; b < to; ++b) {
                const size_t at = (static_cast<size_t>(l) * B_ + b) * H;
                std::copy_n(last_hidden(l, b), H, state.hidden + at);
                if (Cell::KEPT < 0) continue;
                for (int u = 0; u < H; ++u)
                    state.cell[at + u] =
                        tape(l, T_, u / LANES, b)[Cell::KEPT * LANES + u % LANES];
            }
    }

    // After one step of generation: what it left is where the next one starts.
    void next_step(int from, int to) {
        for (int l = 0; l < shape_.layers; ++l) {
            std::copy(out(l, 1, from), out(l, 1, to), out(l, 0, from));
            for (int j = 0; j < blocks_; ++j)
                std::copy(tape(l, 1, j, from), tape(l, 1, j, to), tape(l, 0, j, from));
        }
    }

    // --- up: ids -> hidden states, for streams [from, to) ---

    void forward(int from, int to) {
        if (from == to) return;
        if (shape_.embedding) {
            const float* table = w_.weight(w_.embedding);
            for (int t = 0; t < T_; ++t)
                for (int b = from; b < to; ++b)
                    for (int e = 0; e < E_; e += LANES)
                        P::put(embedded(t, b), e,
                               load(table + static_cast<size_t>(inputs_[t * B_ + b]) * E_ + e));
        }
        for (int l = 0; l < shape_.layers; ++l)
            for (int t = 0; t < T_; ++t)
                for (int block = 0; block < blocks_; ++block)
                    for_tiles(from, to, [&](int b, auto rows) {
                        forward_tile<decltype(rows)::value>(l, t, block, b);
                    });
    }

    template <int R>
    INLINE void forward_tile(int l, int t, int block, int b) {
        const int column = block * GATES * LANES;
        const float* bias = w_.weight(w_.bias[l]) + column;
        const bool one_hot = l == 0 && !shape_.embedding;
        Vec sums[R][GATES];
#pragma GCC unroll 6
        for (int r = 0; r < R; ++r) {
            const float* row = nullptr;
            if (one_hot)
                row = w_.weight(w_.input[0]) +
                      static_cast<size_t>(inputs_[t * B_ + b + r]) * G_ + column;
#pragma GCC unroll 4
            for (int g = 0; g < GATES; ++g) {
                sums[r][g] = load(bias + g * LANES);
                if (row) sums[r][g] += load(row + g * LANES);
            }
        }
        if (l > 0)
            w_.input[l]->multiply(sums, above(l - 1, t, b), row_words_, column);
        else if (!one_hot)
            w_.input[0]->multiply(sums, embedded(t, b), embedding_words_, column);
        w_.recurrent[l]->multiply(sums, out(l, t, b), row_words_, column);

        const bool last = t == T_ - 1;
        const uint32_t key = dropout_layer_key(dropout_key_, l);
#pragma GCC unroll 6
        for (int r = 0; r < R; ++r) {
            Vec hidden = Cell::forward(sums[r], tape(l, t, block, b + r),
                                       tape(l, t + 1, block, b + r));
            const int unit = block * LANES;
            P::put(out(l, t + 1, b + r), unit, hidden);
            if (last) store(last_hidden(l, b + r) + unit, hidden);
            if (threshold_)
                P::put(&dropped_[l][(static_cast<size_t>(t) * B_ + b + r) * row_words_], unit,
                       hidden * kept(key, t, b + r, unit));
        }
    }

    // 1 / (1 - dropout) where a unit is kept, 0 where it is dropped.
    INLINE Vec kept(uint32_t key, int t, int b, int unit) const {
        Bits lane;
        for (int n = 0; n < LANES; ++n) lane[n] = n;
        uint32_t first = (static_cast<uint32_t>(t) * B_ + b) * shape_.hidden + unit;
        Bits bits = mix32((lane + first) ^ key);
        return bits >= threshold_ ? fill(keep_scale_) : Vec{};
    }

    // --- the head ---

    // f(stream, its logits, padded to V_) for step t; f may overwrite them.
    template <class F>
    void each_logits(int t, int from, int to, F&& f) {
        const Panels& panels = w_.head->up;
        const float* bias = w_.weight(w_.head_bias);
        thread_local Buffer<float> rows_of_logits;
        rows_of_logits.need(static_cast<size_t>(TILE_ROWS) * V_);
        float* values = rows_of_logits.data();
        for_tiles(from, to, [&](int b, auto rows) {
            constexpr int R = decltype(rows)::value;
            for (int panel = 0; panel < panels.count; ++panel)
                with_constant<PANEL>(panels.width(panel), [&](auto width) {
                    constexpr int C = decltype(width)::value;
                    const int column = panels.start(panel) * LANES;
                    Vec sums[R][C];
#pragma GCC unroll 6
                    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
                        for (int c = 0; c < C; ++c)
                            sums[r][c] = load(bias + column + c * LANES);
                    w_.head->multiply(sums, above(shape_.layers - 1, t, b), row_words_, column);
#pragma GCC unroll 6
                    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
                        for (int c = 0; c < C; ++c)
                            store(values + static_cast<size_t>(r) * V_ + column + c * LANES,
                                  sums[r][c]);
                });
            for (int r = 0; r < R; ++r) f(b + r, values + static_cast<size_t>(r) * V_);
        });
    }

    void learn_rows(const int32_t* targets, float weight, int from, int to) {
        for (int t = head_from_; t < T_; ++t)
            each_logits(t, from, to, [&](int b, float* values) {
                const int row = t * B_ + b, target = targets[row];
                if (target < 0) {
                    nats_[row] = 0;
                    std::fill_n(d_logits(t, b), logit_words_, Word{});
                    return;
                }
                const float logit = values[target];
                Softmax s = softmax(values, V_);
                nats_[row] = s.nats(logit);
                slope<P>(values, V_, target, s, weight, d_logits(t, b));
            });
    }

    // A forward pass alone; f(row, its logits).
    template <class F>
    void look(int T, int B, const int32_t* inputs, StatePointers state, F&& f,
              bool keep_tape = false) {
        begin(T, B, inputs, keep_tape);
        pack(false);
        threads_.run([&](int part) {
            const auto [from, to] = share(B, part);
            load_state(state, from, to);
            forward(from, to);
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
            const Panels& panels = w_.recurrent[l]->down;
            for (int t = T_ - 1; t >= 0; --t)
                for (int panel = 0; panel < panels.count; ++panel)
                    with_constant<PANEL>(panels.width(panel), [&](auto width) {
                        for_tiles(from, to, [&](int b, auto rows) {
                            backward_tile<decltype(rows)::value, decltype(width)::value>(
                                l, t, panels.start(panel), b);
                        });
                    });
        }
        if (shape_.embedding) backward_embedding(from, to);
    }

    template <int R, int C>
    INLINE void backward_tile(int l, int t, int block, int b) {
        Vec d_hidden[R][C] = {};
        const int unit = block * LANES;
        const bool top = l == shape_.layers - 1;
        if (!top)
            w_.input[l + 1]->multiply_back(d_hidden, d_sums(l + 1, t, b), gate_words_, unit);
        else if (t >= head_from_)
            w_.head->multiply_back(d_hidden, d_logits(t, b), logit_words_, unit);
        if (threshold_) {
            const uint32_t key = dropout_layer_key(dropout_key_, l);
#pragma GCC unroll 6
            for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
                for (int c = 0; c < C; ++c)
                    d_hidden[r][c] *= kept(key, t, b + r, (block + c) * LANES);
        }
        if (t + 1 < T_)
            w_.recurrent[l]->multiply_back(d_hidden, d_sums(l, t + 1, b), gate_words_, unit);
#pragma GCC unroll 6
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
            for (int c = 0; c < C; ++c) {
                Vec slopes[GATES];
                Cell::backward(d_hidden[r][c],
                               &d_cell_[l][static_cast<size_t>(b + r) * H_ + (block + c) * LANES],
                               tape(l, t, block + c, b + r), tape(l, t + 1, block + c, b + r),
                               slopes);
                for (int g = 0; g < GATES; ++g)
                    P::put(d_sums(l, t, b + r), ((block + c) * GATES + g) * LANES, slopes[g]);
            }
    }

    void backward_embedding(int from, int to) {
        const Panels& panels = w_.input[0]->down;
        for (int t = 0; t < T_; ++t)
            for (int panel = 0; panel < panels.count; ++panel)
                with_constant<PANEL>(panels.width(panel), [&](auto width) {
                    constexpr int C = decltype(width)::value;
                    for_tiles(from, to, [&](int b, auto rows) {
                        constexpr int R = decltype(rows)::value;
                        const int block = panels.start(panel);
                        Vec slopes[R][C] = {};
                        w_.input[0]->multiply_back(slopes, d_sums(0, t, b), gate_words_,
                                                   block * LANES);
#pragma GCC unroll 6
                        for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
                            for (int c = 0; c < C; ++c)
                                store(&d_embedded_[(static_cast<size_t>(t) * B_ + b + r) * E_ +
                                                   (block + c) * LANES],
                                      slopes[r][c]);
                    });
                });
    }

    // --- weight gradients, each thread its own columns ---

    void weight_gradients(int part) {
        const int rows = T_ * B_, top = shape_.layers - 1;
        for (int l = 0; l <= top; ++l) {
            const Rows<P> slopes{d_sums_[l].data(), gate_words_};
            const auto [first, last] = share(blocks_, part);
            const int from = first * GATES, to = last * GATES;
            auto product = [&](const Matrix<P>* m, const Word* a, int a_words) {
                transposed_product<P>(w_.gradient(m), m->K, m->N, {a, a_words}, slopes, 0, rows,
                                      from, to);
            };
            product(w_.recurrent[l], out_[l].data(), row_words_);
            if (l > 0)
                product(w_.input[l], above(l - 1, 0, 0), row_words_);
            else if (shape_.embedding)
                product(w_.input[0], embedded_.data(), embedding_words_);
            else
                scatter(w_.gradient(w_.input[0]), shape_.vocabulary, G_, inputs_, rows, from, to,
                        [&](int r, int column) { return P::get(slopes.row(r), column); });
            column_sums<P>(w_.gradient(w_.bias[l]), slopes, 0, rows, from, to);
        }
        const Rows<P> slopes{d_logits_.data(), logit_words_};
        const auto [from, to] = share(V_ / LANES, part);
        transposed_product<P>(w_.gradient(w_.head), shape_.hidden, V_,
                              {above(top, 0, 0), row_words_}, slopes, head_from_ * B_, rows,
                              from, to);
        column_sums<P>(w_.gradient(w_.head_bias), slopes, head_from_ * B_, rows, from, to);
        if (shape_.embedding) {
            const auto [first, last] = share(E_ / LANES, part);
            scatter(w_.gradient(w_.embedding), shape_.vocabulary, E_, inputs_, rows, first, last,
                    [&](int r, int column) {
                        return load(&d_embedded_[static_cast<size_t>(r) * E_ + column]);
                    });
        }
    }

    const Shape shape_;
    Threads threads_;
    Weights<P, GATES> w_;
    const int H_, G_, V_, E_, blocks_;  // padded to whole vectors
    const int row_words_, gate_words_, logit_words_, embedding_words_;

    bool up_fresh_ = false, down_fresh_ = false;  // packed since the weights changed?

    int T_ = 0, B_ = 0, head_from_ = 0;
    const int32_t* inputs_ = nullptr;
    bool keep_tape_ = false;
    uint32_t threshold_ = 0, dropout_key_ = 0;
    float keep_scale_ = 1;
    std::vector<Buffer<Word>> out_, dropped_, d_sums_;
    std::vector<Buffer<float>> tape_, d_cell_;
    Buffer<Word> embedded_, d_logits_;
    Buffer<float> d_embedded_, last_hidden_, nats_;
    Buffer<double> squares_;
};

}  // namespace

std::unique_ptr<Network> make_network(const Shape& shape, bool bfloat16, int threads) {
    if (shape.lstm) {
        if (bfloat16) return std::make_unique<NetworkOf<Bfloat16, Lstm>>(shape, threads);
        return std::make_unique<NetworkOf<Float32, Lstm>>(shape, threads);
    }
    if (bfloat16) return std::make_unique<NetworkOf<Bfloat16, Rnn>>(shape, threads);
    return std::make_unique<NetworkOf<Float32, Rnn>>(shape, threads);
}

}  // namespace charloom::CHARLOOM_ISA
