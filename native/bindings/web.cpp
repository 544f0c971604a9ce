// The core in a browser: a flat C interface over the networks, compiled to WebAssembly.
//
// Arrays are in this module's memory, in the layout of network.h; the page takes it from
// `allocate`. Ids and shapes have been checked there (serving/page/core.js). There is one thread,
// so a page needs no isolation, and no exceptions: what cannot go on traps.
#include <cstdlib>
#include <cstring>

#include "network/network.h"

// The page calls it by this name, which may be one that the C library has, too.
#define EXPORT(result, name) \
    extern "C" __attribute__((export_name(#name))) result charloom_##name

namespace charloom {

// networks.inc has a line for each cell of native/cells: NETWORK(baseline, float32, lstm).
#define NETWORK(isa, precision, cell)                                                    \
    namespace isa {                                                                      \
    std::unique_ptr<Network> make_##cell##_##precision(const Shape& shape, int threads); \
    }
#include "networks.inc"
#undef NETWORK

namespace {

struct Maker {
    const char* cell;
    std::unique_ptr<Network> (*make)(const Shape& shape, int threads);
};
#define NETWORK(isa, precision, cell) {#cell, isa::make_##cell##_##precision},
constexpr Maker MAKERS[] = {
#include "networks.inc"
};

}  // namespace

EXPORT(void*, allocate)(size_t bytes) { return std::aligned_alloc(64, (bytes + 63) & ~63u); }
EXPORT(void, release)(void* memory) { std::free(memory); }

// Null where there is no such cell.
EXPORT(Network*, open)(const char* cell, int vocabulary, int embedding, int hidden, int layers) {
    for (const Maker& maker : MAKERS)
        if (!std::strcmp(maker.cell, cell))
            return maker.make({vocabulary, embedding, hidden, layers}, 1).release();
    return nullptr;
}
EXPORT(void, close)(Network* network) { delete network; }

EXPORT(int, quantities)(const Network* network) { return network->cell().quantities; }
EXPORT(size_t, elements)(const Network* network, int tensor) { return network->elements(tensor); }

EXPORT(void, write)(Network* network, int tensor, int kind, const float* from) {
    network->write(tensor, static_cast<Kind>(kind), from);
}
EXPORT(void, read)(Network* network, int tensor, int kind, float* to) {
    network->read(tensor, static_cast<Kind>(kind), to);
}

EXPORT(void, logits)
(Network* network, int T, int B, const int32_t* ids, float* hidden, float* cell, float* to) {
    network->logits(T, B, ids, {hidden, cell}, to);
}
EXPORT(void, trace)
(Network* network, int T, int B, const int32_t* ids, float* hidden, float* cell, float* shown,
 float* to) {
    network->trace(T, B, ids, {hidden, cell}, shown, to);
}
// One stream; `forbidden` is an id that is never drawn, or below 0.
EXPORT(void, generate)
(Network* network, int32_t last, float* hidden, float* cell, int length, double temperature,
 int top_k, double top_p, int32_t forbidden, uint64_t seed, int start, int32_t* ids) {
    const Sampling sampling{temperature, top_k, top_p};
    const int64_t first = start;
    std::vector<int32_t> none;
    if (forbidden >= 0) none.push_back(forbidden);
    network->generate({1, &last, length, &sampling, &seed, &first, none, ids}, {hidden, cell});
}

// `result` becomes nats, characters, the gradient's norm, and whether the weights were updated.
EXPORT(void, train_step)
(Network* network, int T, int B, const int32_t* inputs, const int32_t* targets, float* hidden,
 float* cell, double learning_rate, double beta1, double beta2, double epsilon, double clip_norm,
 double dropout, uint32_t dropout_key, int step, double* result) {
    const StepSettings settings{learning_rate, beta1,   beta2,      epsilon,
                                clip_norm,     dropout, dropout_key};
    const StepResult done =
        network->train_step(T, B, inputs, targets, {hidden, cell}, settings, step);
    result[0] = done.nats;
    result[1] = static_cast<double>(done.characters);
    result[2] = done.gradient_norm;
    result[3] = done.updated;
}

}  // namespace charloom

// A page ends all at once: nothing is destroyed with its thread.
extern "C" int __cxa_thread_atexit(void (*)(void*), void*, void*) { return 0; }
