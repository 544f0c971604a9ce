// The loop that generates characters, the same for every precision of products.
#pragma once

#include <vector>

#include "network/call.h"
#include "network/sampler.h"
#include "support/random.h"

namespace charloom {

// Characters of some streams. `step()` computes one step from `inputs`, `each_logits(f)` calls
// f(stream, its logits), and `advance()` makes the state after a step the one before the next.
template <class Step, class EachLogits, class Advance>
void generate_streams(const Generation& asked, int vocabulary, std::vector<int32_t>& inputs,
                      Step&& step, EachLogits&& each_logits, Advance&& advance) {
    Sampler sampler(asked.forbidden, vocabulary);
    for (int n = 0; n < asked.length; ++n) {
        step();
        each_logits([&](int b, const float* logits) {
            const double number = uniform(asked.seeds[b], asked.starts[b] + n);
            inputs[b] = sampler.draw(logits, asked.samplings[b], number);
            asked.ids[static_cast<size_t>(n) * asked.B + b] = inputs[b];
        });
        if (n + 1 < asked.length) advance();
    }
}

}  // namespace charloom
