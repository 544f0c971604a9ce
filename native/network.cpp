// The whole network: ids -> LSTM layers -> logits, and back, and Adam.
//
// Compiled once per instruction set. Every weight matrix is kept as K x N floats, K the
// inputs and N the outputs, with its gradient and Adam's two moments beside it; and packed,
// in the precision of products, once per step for the way up and once for the way down.
//
// The N = G columns of a layer are interleaved, so that one panel of a product holds the
// gates of LANES units side by side, and the cell is computed where the product ends:
//
//     columns   [ i of units 0..15 | f | g | o ] [ i of units 16..31 | f | g | o ] ...
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
#include "loss.h"
#include "optimizer.h"
#include "random.h"
#include "sampler.h"

namespace charloom::CHARLOOM_ISA {
namespace {

// A weight matrix (or bias, K = 1) in the arena, and its two packed forms.
struct Matrix {
    int K = 0, N = 0;  // N is a multiple of LANES
    size_t at = 0;     // where it starts in the arena
    bool multiplied = false;  // or else only gathered by rows, or added
    Panels up;                // over N, for A W
    Panels down;              // over K, for D W^T

    size_t size() const { return static_cast<size_t>(K) * N; }
};

template <class Word>
struct Packed {
    Buffer<Word> up, down;
};

template <class P, class Cell>
class NetworkOf final : public Network {
    using Word = typename P::Word;
    static constexpr int GATES = Cell::GATES;
    static constexpr int STEP = Cell::TAPE * LANES;  // floats of tape: a stream, a block
    static constexpr int REDUCE = 256;               // words of a weight gradient's chunk

public:
    NetworkOf(const Shape& shape, int threads)
        : shape_(shape),
          threads_(threads),
          H_(round_up(shape.hidden, LANES)),
          G_(GATES * H_),
          V_(round_up(shape.vocabulary, LANES)),
          E_(round_up(shape.embedding, LANES)),
          blocks_(H_ / LANES),
          row_words_(H_ / P::PER_WORD),
          gate_words_(G_ / P::PER_WORD),
          logit_words_(V_ / P::PER_WORD),
          embedding_words_(E_ / P::PER_WORD) {
        if (shape.embedding) embedding_ = add(shape.vocabulary, E_, false);
        for (int l = 0; l < shape.layers; ++l) {
            const bool one_hot = l == 0 && !shape.embedding;
            const int inputs = l ? shape.hidden : one_hot ? shape.vocabulary : shape.embedding;
            input_.push_back(add(inputs, G_, !one_hot, GATES));
            recurrent_.push_back(add(shape.hidden, G_, true, GATES));
            bias_.push_back(add(1, G_, false));
        }
        head_ = add(shape.hidden, V_, true);
        head_bias_ = add(1, V_, false);
        for (auto* arena : {&weight_, &gradient_, &mean_, &mean_square_}) arena->need(size_);
        for (int v = shape.vocabulary; v < V_; ++v) weight_[matrix(head_bias_).at + v] = -1e30f;
        packed_.resize(matrices_.size());
        for (size_t m = 0; m < matrices_.size(); ++m) {
            const Matrix& w = matrices_[m];
            if (!w.multiplied) continue;
            packed_[m].up.need(static_cast<size_t>(divide_up(w.K, P::PER_WORD)) * w.N);
            packed_[m].down.need(static_cast<size_t>(w.N / P::PER_WORD) *
                                 round_up(w.K, LANES));
        }
        out_.resize(shape.layers);
        dropped_.resize(shape.layers);
        tape_.resize(shape.layers);
        d_sums_.resize(shape.layers);
        d_cell_.resize(shape.layers);
    }

    void read(int tensor, Kind kind, float* to) const override {
        const float* from = arena(kind).data();
        for_elements(tensor, [&](size_t outside, size_t inside) { to[outside] = from[inside]; });
    }

    void write(int tensor, Kind kind, const float* from) override {
        float* to = const_cast<float*>(arena(kind).data());
        for_elements(tensor, [&](size_t outside, size_t inside) { to[inside] = from[outside]; });
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
        if (result.characters == 0) return result;
        begin(T, B, inputs, true);
        need_slopes(settings);
        head_from_ = first_target / B;
        const int chunks = static_cast<int>((size_ + NORM_CHUNK - 1) / NORM_CHUNK);
        squares_.need(chunks);
        float weight = 1.0f / static_cast<float>(result.characters);

        threads_.run([&](int thread) {
            pack(thread, true);
            threads_.barrier();
            auto [from, to] = share(B, thread);
            load_state(state, from, to);
            forward(from, to);
            learn_rows(targets, weight, from, to);
            backward(from, to);
            save_state(state, from, to);
            threads_.barrier();
            weight_gradients(thread);
            threads_.barrier();
            auto [first, last] = share(chunks, thread);
            for (int c = first; c < last; ++c)
                squares_[c] = sum_of_squares(&gradient_[c * NORM_CHUNK], chunk_size(c));
            threads_.barrier();
            double squares = 0, nats = 0;
            for (int c = 0; c < chunks; ++c) squares += squares_[c];
            for (int r = head_from_ * B; r < T * B; ++r) nats += nats_[r];
            double norm = std::sqrt(squares);
            bool finite = std::isfinite(norm) && std::isfinite(nats);
            if (finite) {
                double clip = settings.clip_norm;
                Adam adam(settings.learning_rate, settings.beta1, settings.beta2,
                          settings.epsilon, clip > 0 && norm > clip ? clip / norm : 1, step);
                for (int c = first; c < last; ++c) {
                    size_t at = c * NORM_CHUNK;
                    adam.update(&weight_[at], &mean_[at], &mean_square_[at], &gradient_[at],
                                chunk_size(c));
                }
            }
            if (thread == 0) {
                result.nats = nats;
                result.gradient_norm = norm;
                result.updated = finite;
            }
        });
        up_fresh_ = down_fresh_ = !result.updated;
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
        threads_.run([&](int thread) {
            pack(thread, false);
            threads_.barrier();
            auto [from, to] = share(B, thread);
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
        up_fresh_ = true;
    }

private:
    // --- the arena ---

    int add(int K, int N, bool multiplied, int widest = PANEL) {
        Matrix m;
        m.K = K;
        m.N = N;
        m.at = size_;
        m.multiplied = multiplied;
        m.up = Panels(N / LANES, widest);
        m.down = Panels(divide_up(K, LANES), PANEL);
        size_ += m.size();
        matrices_.push_back(m);
        return static_cast<int>(matrices_.size()) - 1;
    }
    const Matrix& matrix(int m) const { return matrices_[m]; }
    const Buffer<float>& arena(Kind kind) const {
        return kind == Kind::weight ? weight_ : kind == Kind::mean ? mean_ : mean_square_;
    }
    size_t chunk_size(int c) const { return std::min(NORM_CHUNK, size_ - c * NORM_CHUNK); }

    // f(index in PyTorch's tensor, index in the arena) for each element of a tensor.
    template <class F>
    void for_elements(int tensor, F&& f) const {
        const Matrix& m = matrices_[tensor];
        const int V = shape_.vocabulary;
        if (tensor == embedding_) {
            for (int v = 0; v < V; ++v)
                for (int e = 0; e < shape_.embedding; ++e)
                    f(static_cast<size_t>(v) * shape_.embedding + e,
                      m.at + static_cast<size_t>(v) * m.N + e);
        } else if (tensor == head_ || tensor == head_bias_) {
            for (int v = 0; v < V; ++v)
                for (int k = 0; k < m.K; ++k)
                    f(static_cast<size_t>(v) * m.K + k,
                      m.at + static_cast<size_t>(k) * m.N + v);
        } else {
            for (int g = 0; g < GATES; ++g)
                for (int u = 0; u < shape_.hidden; ++u) {
                    size_t row = static_cast<size_t>(g) * shape_.hidden + u;
                    size_t column = (u / LANES * GATES + g) * LANES + u % LANES;
                    for (int k = 0; k < m.K; ++k)
                        f(row * m.K + k, m.at + static_cast<size_t>(k) * m.N + column);
                }
        }
    }

    // Bring the packed forms up to date, each thread its share of every matrix's panels.
    void pack(int thread, bool down_too) {
        for (size_t m = 0; m < matrices_.size(); ++m) {
            const Matrix& w = matrices_[m];
            if (!w.multiplied) continue;
            if (!up_fresh_) {
                const auto [first, last] = share(w.up.count, thread);
                pack_rows<P>(&weight_[w.at], w.K, w.N, w.up, first, last, packed_[m].up.data());
            }
            if (down_too && !down_fresh_) {
                const auto [first, last] = share(w.down.count, thread);
                pack_columns<P>(&weight_[w.at], w.K, w.N, w.down, first, last,
                                packed_[m].down.data());
            }
        }
    }

    std::pair<int, int> share(int n, int thread) const {
        return {part_start(n, threads_.count(), thread),
                part_start(n, threads_.count(), thread + 1)};
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
            const float* table = &weight_[matrix(embedding_).at];
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
        const float* bias = &weight_[matrix(bias_[l]).at + column];
        const bool one_hot = l == 0 && !shape_.embedding;
        Vec sums[R][GATES];
#pragma GCC unroll 6
        for (int r = 0; r < R; ++r) {
            const float* row = nullptr;
            if (one_hot)
                row = &weight_[matrix(input_[0]).at +
                               static_cast<size_t>(inputs_[t * B_ + b + r]) * G_ + column];
#pragma GCC unroll 4
            for (int g = 0; g < GATES; ++g) {
                sums[r][g] = load(bias + g * LANES);
                if (row) sums[r][g] += load(row + g * LANES);
            }
        }
        if (l > 0)
            multiply<R>(sums, above(l - 1, t, b), row_words_, input_[l], column);
        else if (!one_hot)
            multiply<R>(sums, embedded(t, b), embedding_words_, input_[0], column);
        multiply<R>(sums, out(l, t, b), row_words_, recurrent_[l], column);

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

    // sums += A W for the panel of W that starts at `column`.
    template <int R, int C>
    INLINE void multiply(Vec (&sums)[R][C], const Word* a, ptrdiff_t stride, int m,
                         int column) {
        const int steps = divide_up(matrix(m).K, P::PER_WORD);
        accumulate<P, R, C>(sums, a, stride,
                            packed_[m].up.data() + static_cast<size_t>(column) * steps, steps);
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
        const Panels& panels = matrix(head_).up;
        const float* bias = &weight_[matrix(head_bias_).at];
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
                    for (int r = 0; r < R; ++r)
                        for (int c = 0; c < C; ++c)
                            sums[r][c] = load(bias + column + c * LANES);
                    multiply<R>(sums, above(shape_.layers - 1, t, b), row_words_, head_,
                                column);
                    for (int r = 0; r < R; ++r)
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
        threads_.run([&](int thread) {
            pack(thread, false);
            threads_.barrier();
            auto [from, to] = share(B, thread);
            load_state(state, from, to);
            forward(from, to);
            for (int t = 0; t < T; ++t)
                each_logits(t, from, to,
                            [&](int b, float* values) { f(t * B + b, values); });
            save_state(state, from, to);
        });
        up_fresh_ = true;
    }

    // --- down: slopes by every gate's sum, for streams [from, to) ---

    void backward(int from, int to) {
        if (from == to) return;
        for (int l = shape_.layers - 1; l >= 0; --l) {
            std::fill(&d_cell_[l][static_cast<size_t>(from) * H_],
                      &d_cell_[l][0] + static_cast<size_t>(to) * H_, 0.0f);
            const Panels& panels = matrix(recurrent_[l]).down;
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
        const bool top = l == shape_.layers - 1;
        if (!top)
            multiply_back<R>(d_hidden, d_sums(l + 1, t, b), gate_words_, input_[l + 1], block);
        else if (t >= head_from_)
            multiply_back<R>(d_hidden, d_logits(t, b), logit_words_, head_, block);
        if (threshold_) {
            const uint32_t key = dropout_layer_key(dropout_key_, l);
            for (int r = 0; r < R; ++r)
                for (int c = 0; c < C; ++c)
                    d_hidden[r][c] *= kept(key, t, b + r, (block + c) * LANES);
        }
        if (t + 1 < T_)
            multiply_back<R>(d_hidden, d_sums(l, t + 1, b), gate_words_, recurrent_[l], block);
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

    // sums += D W^T for the units from `block` on.
    template <int R, int C>
    INLINE void multiply_back(Vec (&sums)[R][C], const Word* d, ptrdiff_t stride, int m,
                              int block) {
        const int steps = matrix(m).N / P::PER_WORD;
        accumulate<P, R, C>(
            sums, d, stride,
            packed_[m].down.data() + static_cast<size_t>(block) * LANES * steps, steps);
    }

    void backward_embedding(int from, int to) {
        const Panels& panels = matrix(input_[0]).down;
        for (int t = 0; t < T_; ++t)
            for (int panel = 0; panel < panels.count; ++panel)
                with_constant<PANEL>(panels.width(panel), [&](auto width) {
                    constexpr int C = decltype(width)::value;
                    for_tiles(from, to, [&](int b, auto rows) {
                        constexpr int R = decltype(rows)::value;
                        const int block = panels.start(panel);
                        Vec slopes[R][C] = {};
                        multiply_back<R>(slopes, d_sums(0, t, b), gate_words_, input_[0], block);
                        for (int r = 0; r < R; ++r)
                            for (int c = 0; c < C; ++c)
                                store(&d_embedded_[(static_cast<size_t>(t) * B_ + b + r) * E_ +
                                                   (block + c) * LANES],
                                      slopes[r][c]);
                    });
                });
    }

    // --- weight gradients: A^T D, each thread its own columns ---

    void weight_gradients(int thread) {
        const int rows = T_ * B_;
        for (int l = 0; l < shape_.layers; ++l) {
            const Word* slopes = d_sums_[l].data();
            const auto [first, last] = share(blocks_, thread);
            const int from = first * GATES, to = last * GATES;  // vectors of columns
            product(recurrent_[l], out_[l].data(), row_words_, slopes, gate_words_, 0, rows,
                    from, to);
            if (l > 0)
                product(input_[l], above(l - 1, 0, 0), row_words_, slopes, gate_words_, 0, rows,
                        from, to);
            else if (shape_.embedding)
                product(input_[0], embedded_.data(), embedding_words_, slopes, gate_words_, 0,
                        rows, from, to);
            else
                scatter(input_[0], [&](int r, int column) {
                    return P::get(slopes + static_cast<size_t>(r) * gate_words_, column);
                }, from, to);
            column_sums(bias_[l], slopes, gate_words_, 0, rows, from, to);
        }
        const auto [from, to] = share(V_ / LANES, thread);
        product(head_, above(shape_.layers - 1, 0, 0), row_words_, d_logits_.data(),
                logit_words_, head_from_ * B_, rows, from, to);
        column_sums(head_bias_, d_logits_.data(), logit_words_, head_from_ * B_, rows, from, to);
        if (shape_.embedding) {
            const auto [first, last] = share(E_ / LANES, thread);
            scatter(embedding_, [&](int r, int column) {
                return load(&d_embedded_[static_cast<size_t>(r) * E_ + column]);
            }, first, last);
        }
    }

    // gradient[K][columns] = sum over rows r of A[r][K] D[r][columns]. Chunks of rows are
    // turned so that words run along r, as `accumulate` wants them.
    void product(int m, const Word* a, int a_words, const Word* d, int d_words, int first_row,
                 int last_row, int from, int to) {
        if (from == to) return;
        const Matrix& w = matrix(m);
        const int K = round_up(w.K, LANES);
        thread_local Buffer<Word> a_turned, d_packed, zeros;
        a_turned.need(static_cast<size_t>(K) * REDUCE);
        d_packed.need(static_cast<size_t>(PANEL) * LANES * REDUCE);
        zeros.need(std::max(a_words, d_words));
        const Panels panels(to - from, PANEL);
        const int chunk = REDUCE * P::PER_WORD;
        for (int begin = first_row; begin < last_row; begin += chunk) {
            const int rows = std::min(chunk, last_row - begin);
            const int steps = divide_up(rows, P::PER_WORD);
            auto row_pair = [&](const Word* base, int words, int step, const Word** pair) {
                for (int n = 0; n < P::PER_WORD; ++n) {
                    const int r = begin + step * P::PER_WORD + n;
                    pair[n] = r < last_row ? base + static_cast<size_t>(r) * words
                                           : zeros.data();
                }
            };
            for (int step = 0; step < steps; ++step) {
                const Word* pair[P::PER_WORD];
                row_pair(a, a_words, step, pair);
                for (int k = 0; k < K; k += LANES) {
                    auto words = P::interleave(pair, k);
                    for (int lane = 0; lane < LANES; ++lane)
                        a_turned[static_cast<size_t>(k + lane) * REDUCE + step] = words[lane];
                }
            }
            for (int panel = 0; panel < panels.count; ++panel)
                with_constant<PANEL>(panels.width(panel), [&](auto width) {
                    constexpr int C = decltype(width)::value;
                    const int column = (from + panels.start(panel)) * LANES;
                    for (int step = 0; step < steps; ++step) {
                        const Word* pair[P::PER_WORD];
                        row_pair(d, d_words, step, pair);
                        for (int c = 0; c < C; ++c)
                            store_as(&d_packed[(static_cast<size_t>(step) * C + c) * LANES],
                                     P::interleave(pair, column + c * LANES));
                    }
                    for_tiles(0, w.K, [&](int k, auto tile) {
                        constexpr int R = decltype(tile)::value;
                        Vec sums[R][C] = {};
                        float* g = &gradient_[w.at + static_cast<size_t>(k) * w.N + column];
                        if (begin > first_row)
                            for (int r = 0; r < R; ++r)
                                for (int c = 0; c < C; ++c)
                                    sums[r][c] = load(g + static_cast<size_t>(r) * w.N +
                                                      c * LANES);
                        accumulate<P, R, C>(sums, &a_turned[static_cast<size_t>(k) * REDUCE],
                                            REDUCE, d_packed.data(), steps);
                        for (int r = 0; r < R; ++r)
                            for (int c = 0; c < C; ++c)
                                store(g + static_cast<size_t>(r) * w.N + c * LANES, sums[r][c]);
                    });
                });
        }
    }

    void column_sums(int m, const Word* d, int d_words, int first_row, int last_row, int from,
                     int to) {
        for (int vector = from; vector < to; ++vector) {
            Vec total{};
            for (int r = first_row; r < last_row; ++r)
                total += P::get(d + static_cast<size_t>(r) * d_words, vector * LANES);
            store(&gradient_[matrix(m).at + vector * LANES], total);
        }
    }

    // The gradient of a table whose row inputs[r] was gathered for row r.
    template <class F>
    void scatter(int m, F&& slope_at, int from, int to) {
        const Matrix& w = matrix(m);
        float* g = &gradient_[w.at];
        for (int k = 0; k < w.K; ++k)
            std::fill(g + static_cast<size_t>(k) * w.N + from * LANES,
                      g + static_cast<size_t>(k) * w.N + to * LANES, 0.0f);
        for (int r = 0; r < T_ * B_; ++r) {
            float* row = g + static_cast<size_t>(inputs_[r]) * w.N;
            for (int column = from * LANES; column < to * LANES; column += LANES)
                store(row + column, load(row + column) + slope_at(r, column));
        }
    }

    const Shape shape_;
    Threads threads_;
    const int H_, G_, V_, E_, blocks_;  // padded to whole vectors
    const int row_words_, gate_words_, logit_words_, embedding_words_;

    int embedding_ = -1, head_ = -1, head_bias_ = -1;
    std::vector<int> input_, recurrent_, bias_;
    std::vector<Matrix> matrices_;
    size_t size_ = 0;
    Buffer<float> weight_, gradient_, mean_, mean_square_;
    std::vector<Packed<Word>> packed_;
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
