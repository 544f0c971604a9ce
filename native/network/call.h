// What one call asks of the forward and backward passes.
#pragma once

#include <algorithm>
#include <cstdint>

#include "network/network.h"

namespace charloom {

// What a forward pass is for. It is compiled for each: the mode is a template parameter, since a
// branch or a call in the row loop spills the accumulators.
enum class Mode { reading, tracing, learning };

struct Range {
    int from, to;
};

// A unit is dropped where 32 random bits are below the threshold, else multiplied by the scale.
struct Dropout {
    uint32_t threshold = 0;  // nothing is dropped
    uint32_t key = 0;
    float scale = 1;

    Dropout() = default;
    Dropout(double probability, uint32_t key) {
        if (probability <= 0) return;
        threshold = static_cast<uint32_t>(std::min(probability * 4294967296.0, 4294967295.0));
        scale = static_cast<float>(1 / (1 - probability));
        this->key = key;
    }
};

struct Call {
    int T, B;
    const int32_t* inputs;  // (T, B)
    StatePointers state;
    Mode mode = Mode::reading;
    float* quantities = nullptr;  // where a trace goes
    Dropout dropout = {};
    int head_start = 0;  // the first step that has a target; no logits are learned from before it
    float* logits = nullptr;  // where those go that are learned from
};

}  // namespace charloom
