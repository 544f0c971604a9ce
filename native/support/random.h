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

// The seed of stream `number` of many, below 2^32: NumPy's SeedSequence([seed, number]), whose words
// are hashed and mixed (M. O'Neill, "Developing a seed_seq alternative", 2015).
inline uint64_t stream_seed(uint64_t seed, uint32_t number) {
    uint32_t words[4] = {static_cast<uint32_t>(seed)}, count = 1;
    if (seed >> 32) words[count++] = static_cast<uint32_t>(seed >> 32);
    words[count] = number;
    uint32_t key = 0x43b0d7e5u;
    auto hash = [&key](uint32_t word, uint32_t factor) {
        word ^= key;
        key *= factor;
        word *= key;
        return word ^ word >> 16;
    };
    uint32_t pool[4];
    for (int n = 0; n < 4; ++n) pool[n] = hash(words[n], 0x931e8875u);
    for (int from = 0; from < 4; ++from)
        for (int to = 0; to < 4; ++to) {
            if (from == to) continue;
            const uint32_t mixed =
                0xca01f9ddu * pool[to] - 0x4973f715u * hash(pool[from], 0x931e8875u);
            pool[to] = mixed ^ mixed >> 16;
        }
    key = 0x8b51f9ddu;
    const uint64_t low = hash(pool[0], 0x58f38dedu);
    return static_cast<uint64_t>(hash(pool[1], 0x58f38dedu)) << 32 | low;
}

}  // namespace charloom
