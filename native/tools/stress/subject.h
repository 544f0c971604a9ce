// What is driven: a network of some kernels, precision and cell, and the batches it is given.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "network/kernel_sets.h"
#include "support/random.h"

namespace charloom {

using Floats = std::vector<float>;
using Ids = std::vector<int32_t>;

inline std::atomic<long> checks{0}, failures{0};
inline std::string where;  // what is being driven

inline void check(bool right, const char* what) {
    ++checks;
    if (right) return;
    ++failures;
    std::printf("stress: %s: %s\n", where.c_str(), what);
}

struct Variant {
    std::string kernels, precision, cell;
};

enum class Counted { all, some, last, none };  // which targets

struct Case {
    int vocabulary, embedding, hidden, layers, T, B;
    double dropout;
    Counted counted;
};

const Case CASES[] = {
    {2, 0, 1, 1, 1, 1, 0, Counted::all},       // the smallest there is
    {2, 1, 1, 1, 3, 2, 0.5, Counted::all},     // and with an embedding
    {27, 0, 15, 1, 4, 7, 0, Counted::last},    // one unit short of a vector; many to one
    {27, 0, 16, 2, 3, 5, 0, Counted::some},    // whole vectors
    {65, 0, 17, 3, 5, 2, 0.3, Counted::some},  // one over, three layers
    {130, 3, 33, 2, 1, 13, 0.1, Counted::all}, // T = 1; three tiles of streams
    {20, 19, 31, 3, 9, 4, 0, Counted::last},   // E is no multiple of anything
    {300, 0, 5, 1, 2, 1, 0.2, Counted::all},   // the head has five panels, B = 1
    {3, 0, 70, 1, 3, 3, 0, Counted::all},      // two panels in the backward pass
    {5, 2, 3, 2, 67, 9, 0, Counted::some},     // more rows than a chunk of gradients.h
    {9, 0, 8, 1, 2, 2, 0.2, Counted::none},    // nothing to learn from
    {5, 0, 131, 1, 2, 1, 0.1, Counted::all},   // many threads share one stream, in bfloat16 too
};

struct State {
    Floats hidden, cell;

    explicit State(size_t size) : hidden(size), cell(size) {}
    StatePointers pointers() { return {hidden.data(), cell.data()}; }
};

// Streams [b0, b1), steps [t0, t1) of an array (T, B).
template <class X>
std::vector<X> cut(const std::vector<X>& all, int B, int t0, int t1, int b0, int b1) {
    std::vector<X> part;
    for (int t = t0; t < t1; ++t)
        part.insert(part.end(), all.begin() + t * B + b0, all.begin() + t * B + b1);
    return part;
}

// A network, with vectors instead of pointers.
struct Subject {
    const Shape shape;
    std::unique_ptr<Network> network;

    Subject(const Variant& variant, const Shape& shape, int threads)
        : shape(shape),
          network(make_network(variant.kernels, variant.cell, variant.precision, shape, threads)) {}

    std::vector<size_t> sizes() const {
        std::vector<size_t> sizes;
        for (int tensor = 0; tensor < network->tensors(); ++tensor)
            sizes.push_back(network->elements(tensor));
        return sizes;
    }

    // value(n) for the n-th of all weights
    template <class F>
    void fill(F&& value) {
        size_t n = 0;
        int tensor = 0;
        for (size_t size : sizes()) {
            Floats weights(size);
            for (float& w : weights) w = value(n++);
            network->write(tensor++, Kind::weight, weights.data());
        }
    }

    Floats everything() {
        Floats all;
        for (Kind kind : {Kind::weight, Kind::mean, Kind::mean_square}) {
            int tensor = 0;
            for (size_t size : sizes()) {
                all.resize(all.size() + size);
                network->read(tensor++, kind, &all[all.size() - size]);
            }
        }
        return all;
    }

    Floats logits(int T, int B, const Ids& inputs, State& state) {
        Floats found(inputs.size() * shape.vocabulary);
        network->logits(T, B, inputs.data(), state.pointers(), found.data());
        return found;
    }

    // Stream b is drawn as samplings[b % their number] says.
    Ids generate(int B, Ids last, State& state, int length, const std::vector<Sampling>& samplings,
                 const Ids& forbidden, int64_t start = 0,
                 const std::vector<Restriction>& restrictions = {}, int32_t* states = nullptr) {
        Ids ids(static_cast<size_t>(length) * B);
        std::vector<uint64_t> seeds(B);
        std::vector<Sampling> each(B);
        for (int b = 0; b < B; ++b) seeds[b] = 100 + b, each[b] = samplings[b % samplings.size()];
        const std::vector<int64_t> starts(B, start);
        network->generate({B, last.data(), length, each.data(), seeds.data(), starts.data(),
                           forbidden, ids.data(),
                           restrictions.empty() ? nullptr : restrictions.data(), states},
                          state.pointers());
        return ids;
    }
};

// Everything that one Subject computed, to be compared with what another did.
struct Record {
    std::string bytes;
    double nats = 0;

    template <class X>
    void add(const std::vector<X>& values) {
        for (X x : values) {
            if (x != x) x = std::numeric_limits<X>::quiet_NaN();  // any NaN is as good
            bytes.append(reinterpret_cast<const char*>(&x), sizeof x);
        }
    }
    void add(const State& state) {
        add(state.hidden);
        add(state.cell);
    }
};

inline bool finite(const Floats& values) {
    return std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
}

// The batch of a case: ids, targets, and a state that is not zero.
struct Batch {
    int T, B;
    Ids inputs, targets;
    State start;
    long counted = 0;

    explicit Batch(const Case& c)
        : T(c.T), B(c.B), start(static_cast<size_t>(c.layers) * c.B * c.hidden) {
        for (int n = 0; n < T * B; ++n) {
            inputs.push_back(static_cast<int32_t>(uniform(1, n) * c.vocabulary));
            const bool here = c.counted == Counted::all ||
                              (c.counted == Counted::some && n % 3 != 0) ||
                              (c.counted == Counted::last && n / B == T - 1);
            targets.push_back(here ? static_cast<int32_t>(uniform(2, n) * c.vocabulary) : -1);
            counted += here;
        }
        for (size_t n = 0; n < start.hidden.size(); ++n) {
            start.hidden[n] = static_cast<float>(uniform(3, n) - 0.5);
            start.cell[n] = static_cast<float>(4 * uniform(4, n) - 2);
        }
    }
};

const std::vector<Sampling> SAMPLINGS = {{0, 0, 1},   {1, 0, 1},   {0.7, 1, 1},
                                         {1.5, 3, 1}, {1, 0, 0.5}, {1e-9, 1000, 1e-9}};

}  // namespace charloom
