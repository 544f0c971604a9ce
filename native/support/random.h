// Random numbers as a function of a key and a position: engines/random.py in C++.
#pragma once

#include <cstdint>

namespace charloom {

// T is uint32_t or a vector of them.
template <class T>
[[gnu::always_inline]] inline T mix32(T x) {
    x ^= x >> 16;
    x *= 0x21f0aaadu;
    x ^= x >> 15;
    x *= 0xd35a2d97u;
    x ^= x >> 15;
    return x;
}

[[gnu::always_inline]] inline uint32_t dropout_layer_key(uint32_t key, int layer) {
    return mix32(key + static_cast<uint32_t>(layer) * 0x9e3779b9u);
}

// The index-th number in [0, 1) of a seed: SplitMix64.
[[gnu::always_inline]] inline double uniform(uint64_t seed, uint64_t index) {
    uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

}  // namespace charloom
