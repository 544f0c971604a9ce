// What a network offers, the same for every instruction set, precision and cell.
//
// All arrays are C-contiguous: T steps, B streams, V characters, H units, L layers. Ids are int32;
// a target below zero is not counted. Tensors are numbered in the order of weight_shapes in
// the Python engine's contract: the embedding if there is one, then for each layer its input
// weights, recurrent weights and bias, then the head's weights and bias.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "support/purpose.h"

namespace charloom {

struct Shape {
    int vocabulary;
    int embedding;  // 0: one-hot
    int hidden;
    int layers;
};

// Besides h, what a cell hands from step to step: nothing, a cell state of its own, or h in float32.
enum class Carry { nothing, cell, hidden };

// What the rest of a network has to know of its cell. A unit has `sums` sums of products; each
// tensor of a layer has groups of H rows, and `input`, `recurrent` and `bias` say which of the
// sums each group belongs to.
struct CellInfo {
    std::string name;
    int sums;
    std::vector<int> input, recurrent, bias;
    Carry carry;
    int quantities;  // of a trace, h_t the last
};

struct StepSettings {
    double learning_rate, beta1, beta2, epsilon, clip_norm, dropout;
    uint32_t dropout_key;
};

struct StepResult {
    double nats;
    long characters;
    double gradient_norm;
    bool updated;
};

struct Sampling {
    double temperature;
    int top_k;
    double top_p;
};

// Which characters a stream may draw: engines/restriction.py. From state s, id v leads to the state
// following[s * C + classes[v]], and it may be drawn if that is one of the `states` and its
// distance is less than what is left. Without a table everything may be drawn.
struct Restriction {
    const int32_t* following = nullptr;  // (states, C)
    const int32_t* distance = nullptr;   // (states)
    const int32_t* classes = nullptr;    // (V), each from 0 to C - 1
    int32_t states = 0, C = 0;
    int64_t left = 0;  // before the first character of the call
};

// `length` characters for each of B streams, which go on after the ids `last`. Character n of
// stream b is drawn as samplings[b] says, with random number starts[b] + n of the seed seeds[b],
// and never one of those `forbidden`. `ids` is (length, B). If there are `restrictions`, one for
// each stream, then `states` is (length + 1, B): the first row is given, the others are written.
struct Generation {
    int B;
    const int32_t* last;
    int length;
    const Sampling* samplings;
    const uint64_t* seeds;
    const int64_t* starts;
    const std::vector<int32_t>& forbidden;
    int32_t* ids;
    const Restriction* restrictions = nullptr;
    int32_t* states = nullptr;
};

enum class Kind { weight, mean, mean_square };

// State arrays are (L, B, H), read and then overwritten with the state after the call. `cell`
// is left alone where the cell carries none.
struct StatePointers {
    float* hidden;
    float* cell;
};

class Network {
public:
    virtual ~Network() = default;

    virtual const CellInfo& cell() const = 0;
    virtual int tensors() const = 0;
    virtual size_t elements(int tensor) const = 0;
    virtual void read(int tensor, Kind kind, float* to) = 0;
    virtual void write(int tensor, Kind kind, const float* from) = 0;

    // `logits` is (T, B, V) or null: those before the update, from the first step that has a target.
    virtual StepResult train_step(int T, int B, const int32_t* inputs, const int32_t* targets,
                                  StatePointers state, const StepSettings& settings, long step,
                                  float* logits = nullptr) = 0;
    virtual void logits(int T, int B, const int32_t* inputs, StatePointers state,
                        float* logits) = 0;
    virtual void surprise(int T, int B, const int32_t* inputs, const int32_t* targets,
                          StatePointers state, float* nats, int32_t* ranks) = 0;
    // `quantities` is (Q, L, T, B, H): what the cell shows, such as i_t, f_t, g_t, o_t, C_t, h_t.
    virtual void trace(int T, int B, const int32_t* inputs, StatePointers state,
                       float* quantities, float* logits) = 0;
    virtual void generate(const Generation& generation, StatePointers state) = 0;
};

}  // namespace charloom
