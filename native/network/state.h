// States in and out of a call: (L, B, H) float32 outside, padded rows inside.
#pragma once

#include <algorithm>

#include "network/pass.h"

namespace charloom::CHARLOOM_ISA {

// A row of H floats as whole vectors, the rest zero: f(unit, vector).
template <class F>
void each_vector(const float* row, int H, F&& f) {
    int unit = 0;
    for (; unit + LANES <= H; unit += LANES) f(unit, load(row + unit));
    if (unit == H) return;
    Vec rest{};
    std::memcpy(&rest, row + unit, sizeof(float) * (H - unit));
    f(unit, rest);
}

template <class P>
void load_state(const Pass<P>& pass, Carry carry, Range streams) {
    const StatePointers& state = pass.call.state;
    const int H = pass.shape.hidden;
    for (int l = 0; l < pass.shape.layers; ++l)
        for (int b = streams.from; b < streams.to; ++b) {
            const size_t at = (static_cast<size_t>(l) * pass.call.B + b) * H;
            each_vector(state.hidden + at, H,
                        [&](int unit, Vec x) { P::put(pass.out(l, 0, b), unit, x); });
            if (carry == Carry::nothing) continue;
            const float* from = (carry == Carry::cell ? state.cell : state.hidden) + at;
            each_vector(from, H, [&](int unit, Vec x) { store(pass.carry(l, b) + unit, x); });
        }
}

template <class P>
void save_state(const Pass<P>& pass, Carry carry, Range streams) {
    const int H = pass.shape.hidden;
    for (int l = 0; l < pass.shape.layers; ++l)
        for (int b = streams.from; b < streams.to; ++b) {
            const size_t at = (static_cast<size_t>(l) * pass.call.B + b) * H;
            std::copy_n(pass.last_hidden(l, b), H, pass.call.state.hidden + at);
            if (carry == Carry::cell) std::copy_n(pass.carry(l, b), H, pass.call.state.cell + at);
        }
}

// After one step of generation: what it left is where the next one starts.
template <class P>
void next_step(const Pass<P>& pass, Range streams) {
    for (int l = 0; l < pass.shape.layers; ++l)
        std::copy(pass.out(l, 1, streams.from), pass.out(l, 1, streams.to),
                  pass.out(l, 0, streams.from));
}

}  // namespace charloom::CHARLOOM_ISA
