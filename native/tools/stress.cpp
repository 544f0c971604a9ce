// Every kernel set through odd shapes and hard weights, and what must hold all the same.
//
// A program without Python, to be built with a sanitizer (`make sanitize`), which sees what
// a test cannot: a read past an end, two threads at one place. What it sees is what runs, so
// this runs everything that network.h offers; and it checks that
//
//     any number of threads computes the same bits         two engines at once, too
//     two halves, in time or of the streams, are the whole
//     what is finite stays finite; what is not is never learned from
//     all kernel sets agree, as closely as their precision lets them
//
// It prints a line for each thing that does not hold, and is then no success.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "network/network.h"
#include "support/random.h"

namespace charloom {

#define KERNELS(isa)                                                             \
    namespace isa {                                                              \
    std::unique_ptr<Network> make_network(const Shape&, Precision, int threads); \
    double product_peak(bool bfloat16, int threads, double seconds);             \
    }
#include "stress_kernels.inc"  // KERNELS(baseline) and so on, written by CMake
#undef KERNELS

namespace {

using Floats = std::vector<float>;
using Ids = std::vector<int32_t>;

const std::pair<Precision, const char*> PRECISIONS[] = {{Precision::float32, "float32"},
                                                        {Precision::bfloat16, "bfloat16"},
                                                        {Precision::int8, "int8"}};

std::atomic<long> checks{0}, failures{0};
std::string where;  // what is being driven

void check(bool right, const char* what) {
    ++checks;
    if (right) return;
    ++failures;
    std::printf("stress: %s: %s\n", where.c_str(), what);
}

struct Kernels {
    std::string name;
    Factory make;
    double (*peak)(bool bfloat16, int threads, double seconds);
};

bool runs_here(const std::string& name) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                        __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (name == "avx2") return avx2;
    if (name == "avx512") return avx512;
    if (name == "avx512_bf16") return avx512 && __builtin_cpu_supports("avx512bf16");
#endif
    return name == "baseline";
}

// --- what is driven ---

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
    {3, 0, 70, 1, 3, 3, 0, Counted::all},      // two panels on the way down
    {5, 2, 3, 2, 67, 9, 0, Counted::some},     // more rows than a chunk of gradients.h
    {9, 0, 8, 1, 2, 2, 0.2, Counted::none},    // nothing to learn from
    {5, 0, 384, 1, 2, 1, 0.1, Counted::all},   // many threads share one stream
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

// A network, and vectors instead of pointers.
struct Subject {
    const Shape shape;
    std::unique_ptr<Network> network;

    Subject(const Kernels& kernels, Precision precision, const Shape& shape, int threads)
        : shape(shape), network(kernels.make(shape, precision, threads)) {}

    std::vector<size_t> sizes() const {
        const size_t V = shape.vocabulary, E = shape.embedding, H = shape.hidden;
        const size_t G = shape.lstm ? 4 * H : H;
        std::vector<size_t> sizes;
        if (E) sizes.push_back(V * E);
        for (int l = 0; l < shape.layers; ++l)
            for (size_t size : {G * (l ? H : E ? E : V), G * H, G}) sizes.push_back(size);
        sizes.insert(sizes.end(), {V * H, V});
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

    Ids generate(int B, Ids last, State& state, int length, const Sampling& sampling,
                 long start = 0) {
        Ids ids(static_cast<size_t>(length) * B);
        std::vector<uint64_t> seeds(B);
        for (int b = 0; b < B; ++b) seeds[b] = 100 + b;
        network->generate(B, last.data(), state.pointers(), length, sampling, seeds.data(),
                          start, ids.data());
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

bool finite(const Floats& values) {
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

std::vector<Sampling> samplings(int vocabulary) {
    std::vector<Sampling> all = {{0, 0, 1, {}}, {1, 0, 1, {}}, {0.7, 1, 1, {0}}, {1.5, 3, 1, {}},
                                 {1, 0, 0.5, {vocabulary - 1}}, {1e-9, 1000, 1e-9, {}}};
    return all;
}

// --- one network does all it can; `sound` where its weights are ordinary numbers ---

Record drive(Subject& subject, const Case& c, const Batch& batch, bool sound) {
    const auto [vocabulary, embedding, hidden, layers, T, B, dropout, counted] = c;
    const size_t rows = batch.inputs.size();
    Record record;

    State state = batch.start;
    const Floats logits = subject.logits(T, B, batch.inputs, state);
    const State after = state;
    record.add(logits);
    record.add(after);
    auto ends_alike = [&](const State& other) {
        Record a, b;
        a.add(after);
        b.add(other);
        return a.bytes == b.bytes;
    };

    state = batch.start;
    Floats nats(rows);
    Ids ranks(rows);
    subject.network->surprise(T, B, batch.inputs.data(), batch.targets.data(), state.pointers(),
                              nats.data(), ranks.data());
    record.add(nats);
    record.add(ranks);
    check(ends_alike(state), "surprise leaves another state than logits");
    for (size_t r = 0; r < rows; ++r) {
        const bool here = batch.targets[r] >= 0;
        check(here ? ranks[r] >= 1 && ranks[r] <= vocabulary : ranks[r] == 0 && nats[r] == 0,
              "a rank is out of range, or there is one where no target is");
        if (sound) check(nats[r] > -1e-5f, "a surprise is below zero");
        record.nats += nats[r];
    }

    state = batch.start;
    const size_t quantity = layers * rows * hidden, L = layers;
    Floats quantities((subject.shape.lstm ? 6 : 1) * quantity), traced(logits.size());
    subject.network->trace(T, B, batch.inputs.data(), state.pointers(), quantities.data(),
                           traced.data());
    record.add(quantities);
    record.add(traced);
    check(ends_alike(state), "trace leaves another state than logits");
    if (sound) check(traced == logits, "trace has other logits");
    const float* h = &quantities[quantities.size() - quantity];
    for (size_t l = 0; l < L && sound; ++l) {
        const size_t one = static_cast<size_t>(B) * hidden;
        check(std::equal(h + (l * T + T - 1) * one, h + (l + 1) * T * one, &after.hidden[l * one]),
              "the last h_t of a trace is not the state");
    }

    for (const Sampling& sampling : samplings(vocabulary)) {
        state = batch.start;
        const Ids first(batch.inputs.begin(), batch.inputs.begin() + B);
        const Ids ids = subject.generate(B, first, state, 5, sampling);
        record.add(ids);
        record.add(state);
        for (int32_t id : ids) {
            check(id >= 0 && id < vocabulary, "an id outside the vocabulary is generated");
            for (int32_t no : sampling.forbidden) check(id != no, "a forbidden id is generated");
        }
        state = batch.start;
        Ids halves = subject.generate(B, first, state, 2, sampling);
        const Ids rest = subject.generate(B, Ids(halves.end() - B, halves.end()), state, 3,
                                          sampling, 2);
        halves.insert(halves.end(), rest.begin(), rest.end());
        check(halves == ids, "2 and then 3 characters are not 5");
    }

    for (long step = 1; step <= 3; ++step) {
        state = batch.start;
        const Floats before = subject.everything();
        const double dropped = step == 2 ? 0 : dropout;
        const StepResult result = subject.network->train_step(
            T, B, batch.inputs.data(), batch.targets.data(), state.pointers(),
            {0.01, 0.9, 0.999, 1e-7, step == 1 ? 0 : 0.25, dropped, 7u + uint32_t(step)}, step);
        const Floats now = subject.everything();
        record.add(std::vector<double>{result.nats, result.gradient_norm});
        record.add(state);
        record.add(now);
        check(result.characters == batch.counted, "train_step counts wrongly");
        if (sound) {
            check(result.updated == (batch.counted > 0), "a sound step does not update");
            check(finite(now) && std::isfinite(result.nats), "training makes something infinite");
            if (step == 1 && dropped == 0)
                check(ends_alike(state), "train_step leaves another state than logits");
        }
        if (result.updated)
            check(std::isfinite(result.nats) && std::isfinite(result.gradient_norm),
                  "an update from what is not finite");
        else
            check(!std::memcmp(before.data(), now.data(), now.size() * sizeof(float)),
                  "weights change without an update");
    }
    if (sound) check(finite(logits) && finite(quantities), "something is not finite");
    return record;
}

void check_halves(Subject& subject, const Case& c, const Batch& batch) {
    const int T = batch.T, B = batch.B, V = c.vocabulary;
    State state = batch.start;
    const Floats whole = subject.logits(T, B, batch.inputs, state);
    const State end = state;

    state = batch.start;
    Floats halves;
    for (auto [from, to] : {std::pair{0, T / 2}, {T / 2, T}}) {
        if (from == to) continue;
        const Floats half =
            subject.logits(to - from, B, cut(batch.inputs, B, from, to, 0, B), state);
        halves.insert(halves.end(), half.begin(), half.end());
    }
    check(halves == whole && state.hidden == end.hidden && state.cell == end.cell,
          "two halves in time are not the whole");

    for (auto [from, to] : {std::pair{0, B / 2}, {B / 2, B}}) {
        if (from == to) continue;
        State part(static_cast<size_t>(c.layers) * (to - from) * c.hidden);
        // (L, B, H) cut like (T, B), with L for T and H floats for one
        part.hidden = cut(batch.start.hidden, B * c.hidden, 0, c.layers, from * c.hidden,
                          to * c.hidden);
        part.cell = cut(batch.start.cell, B * c.hidden, 0, c.layers, from * c.hidden,
                        to * c.hidden);
        const Floats half =
            subject.logits(T, to - from, cut(batch.inputs, B, 0, T, from, to), part);
        check(half == cut(whole, B * V, 0, T, from * V, to * V),
              "half of the streams computes something else than among all");
    }
}

// --- the runs ---

float ordinary(size_t n) { return static_cast<float>(0.8 * uniform(5, n) - 0.4); }

Shape shape_of(const Case& c, bool lstm) {
    return {lstm, c.vocabulary, c.embedding, c.hidden, c.layers};
}

// Ordinary weights: one thread, then others, must agree to the bit; kernels nearly.
void run_cases(const Kernels& kernels, Precision precision, bool lstm,
               std::map<std::string, double>& nats) {
    const int others[] = {2, 3, 4, 5, 8};
    const std::string at = where;
    int number = 0;
    for (const Case& c : CASES) {
        const std::string name = (lstm ? "lstm" : "rnn") + std::string(" case ") +
                                 std::to_string(number);
        where = at + " " + name;
        const Batch batch(c);
        auto drive_with = [&](int threads, bool halves) {
            Subject subject(kernels, precision, shape_of(c, lstm), threads);
            subject.fill(ordinary);
            if (halves) check_halves(subject, c, batch);
            return drive(subject, c, batch, true);
        };
        const Record one = drive_with(1, true);
        for (int more : {0, 2})
            check(drive_with(others[(number + more) % 5], more == 0).bytes == one.bytes,
                  "the number of threads changes the result");
        ++number;
        const auto [known, is_first] = nats.try_emplace(name, one.nats);
        const double rounding = precision == Precision::bfloat16 ? 2e-2 : 1e-5;
        const double tolerance = rounding * (1 + std::abs(known->second));
        check(is_first || std::abs(one.nats - known->second) < tolerance,
              "kernels disagree with the first ones");
    }
    where = at;
}

// Weights that no training should make, but a file may hold.
void run_hard_weights(const Kernels& kernels, Precision precision, bool lstm) {
    constexpr float INF = std::numeric_limits<float>::infinity();
    constexpr float NAN_ = std::numeric_limits<float>::quiet_NaN();
    constexpr float MOST = std::numeric_limits<float>::max();
    struct Hard {
        const char* name;
        bool sound;
        float (*value)(size_t n);
    };
    const Hard all[] = {
        {"zeros", true, [](size_t) { return 0.0f; }},
        {"denormal", true, [](size_t n) { return ordinary(n) * 1e-39f; }},
        {"large", true, [](size_t n) { return ordinary(n) * 1e4f; }},
        {"huge", false, [](size_t n) { return n % 2 ? MOST : -MOST; }},
        {"huge, one sign", false, [](size_t) { return MOST; }},
        {"one NaN", false, [](size_t n) { return n == 40 ? NAN_ : ordinary(n); }},
        {"all NaN", false, [](size_t) { return NAN_; }},
        {"some NaN", false, [](size_t n) { return n % 7 ? ordinary(n) : NAN_; }},
        {"infinite", false, [](size_t n) { return n % 5 ? ordinary(n) : n % 2 ? INF : -INF; }},
    };
    const std::string at = where;
    const Case c{40, 0, 17, 2, 3, 4, 0.2, Counted::some};
    Batch batch(c);
    for (const Hard& hard : all) {
        where = at + (lstm ? " lstm, " : " rnn, ") + hard.name;
        auto drive_with = [&](int threads) {
            Subject subject(kernels, precision, shape_of(c, lstm), threads);
            subject.fill(hard.value);
            return drive(subject, c, batch, hard.sound).bytes;
        };
        check(drive_with(1) == drive_with(3), "the number of threads changes the result");
    }
    where = at + " a state that is not finite";
    batch.start.hidden[1] = NAN_;
    batch.start.cell[2] = INF;
    Subject subject(kernels, precision, shape_of(c, lstm), 2);
    subject.fill(ordinary);
    drive(subject, c, batch, false);
    where = at;
}

// Engines come and go, some without having worked; two work at once; one is forked.
void run_lives(const Kernels& kernels, Precision precision) {
    const Case c{27, 5, 21, 2, 6, 5, 0.1, Counted::all};
    const Batch batch(c);
    const Shape shape = shape_of(c, true);
    for (int n = 0; n < 30; ++n) {
        Subject subject(kernels, precision, shape, 1 + n % 5);
        State state = batch.start;
        if (n % 3) subject.logits(c.T, c.B, batch.inputs, state);
    }

    auto work = [&](int threads) {
        Subject subject(kernels, precision, shape, threads);
        subject.fill(ordinary);
        std::string bytes;
        for (int n = 0; n < 3; ++n) bytes += drive(subject, c, batch, true).bytes;
        return bytes;
    };
    const std::string alone = work(1);
    std::string first, second;
    std::thread a([&] { first = work(2); }), b([&] { second = work(3); });
    a.join();
    b.join();
    check(first == alone && second == alone, "two engines at once compute something else");

#if !defined(__SANITIZE_THREAD__)  // which does not survive a fork beside threads
    Subject subject(kernels, precision, shape, 3);
    subject.fill(ordinary);
    State state = batch.start;
    const Floats parent = subject.logits(c.T, c.B, batch.inputs, state);
    const pid_t child = fork();
    if (child == 0) {
        state = batch.start;
        const bool same = subject.logits(c.T, c.B, batch.inputs, state) == parent;
        subject.network.reset();
        _exit(same ? 0 : 1);
    }
    int status = 1;
    waitpid(child, &status, 0);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a forked engine computes otherwise");
    state = batch.start;
    check(subject.logits(c.T, c.B, batch.inputs, state) == parent, "a fork disturbs its parent");
#endif
}

}  // namespace

int stress() {
    std::vector<Kernels> all;
    std::string driven;
#define KERNELS(isa) all.push_back({#isa, isa::make_network, isa::product_peak});
#include "stress_kernels.inc"
#undef KERNELS
    std::map<std::string, double> nats;
    for (const Kernels& kernels : all) {
        if (!runs_here(kernels.name)) {
            std::printf("stress: this processor cannot run %s\n", kernels.name.c_str());
            continue;
        }
        for (const auto& [precision, name] : PRECISIONS) {
            const bool bfloat16 = precision == Precision::bfloat16;
            if (precision == Precision::int8 && kernels.name != "avx512_bf16")
                continue;  // float32 again
            where = kernels.name + " " + name;
            check(kernels.peak(bfloat16, 2, 0.001) > 0, "the product takes no time");
            for (bool lstm : {true, false}) {
                run_cases(kernels, precision, lstm, nats);
                run_hard_weights(kernels, precision, lstm);
            }
            run_lives(kernels, precision);
        }
        driven += " " + kernels.name;
    }
    std::printf("stress: of %ld checks %ld failed, on%s\n", checks.load(), failures.load(),
                driven.c_str());
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}

}  // namespace charloom

int main() { return charloom::stress(); }
