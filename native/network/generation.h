// The loop that generates characters, the same for every precision of products.
#pragma once

#include <vector>

#include "network/call.h"
#include "network/sampler.h"
#include "support/random.h"

namespace charloom {

// Streams that are fewer than threads share the units of each layer, if its network has so many
// bytes of weights: a second-level cache. In tools/stress/ small ones do, too.
#if defined(CHARLOOM_STRESS)
constexpr size_t SHARED_FROM = size_t{1} << 14;
#else
constexpr size_t SHARED_FROM = size_t{1} << 20;
#endif

// Characters of some streams. `step()` computes one step from `inputs`, `each_logits(f)` calls
// f(stream, its logits), and `advance()` makes the state after a step the one before the next.
template <class Step, class EachLogits, class Advance>
void generate_streams(const Generation& asked, int vocabulary, std::vector<int32_t>& inputs,
                      Step&& step, EachLogits&& each_logits, Advance&& advance) {
    Sampler sampler(asked.forbidden, vocabulary);
    for (int n = 0; n < asked.length; ++n) {
        step();
        each_logits([&](int b, const float* logits) {
            const size_t at = static_cast<size_t>(n) * asked.B + b;
            const Sampling& sampling = asked.samplings[b];
            const double number = uniform(asked.seeds[b], asked.starts[b] + n);
            inputs[b] = asked.restrictions
                            ? sampler.draw(logits, sampling, number, asked.restrictions[b], n,
                                           asked.states[at], asked.states[at + asked.B])
                            : sampler.draw(logits, sampling, number);
            asked.ids[at] = inputs[b];
        });
        if (n + 1 < asked.length) advance();
    }
}

}  // namespace charloom
