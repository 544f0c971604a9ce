// One network does all it can, and what must hold for every network is checked.
#pragma once

#include <cstring>

#include "tools/stress/subject.h"

namespace charloom {

// `sound` where its weights are ordinary numbers.
inline Record drive(Subject& subject, const Case& c, const Batch& batch, bool sound) {
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
    Floats quantities(subject.network->cell().quantities * quantity), traced(logits.size());
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

    const Ids first(batch.inputs.begin(), batch.inputs.begin() + B);
    state = batch.start;
    const Ids mixed = subject.generate(B, first, state, 5, SAMPLINGS, {});
    for (size_t s = 0; s < SAMPLINGS.size(); ++s) {
        state = batch.start;
        const Ids alike = subject.generate(B, first, state, 5, {SAMPLINGS[s]}, {});
        for (int n = 0; n < 5; ++n)
            for (size_t b = s; b < static_cast<size_t>(B); b += SAMPLINGS.size())
                check(alike[n * B + b] == mixed[n * B + b],
                      "a stream's settings change what another one draws");
        const Ids forbidden = s % 2 ? Ids{} : Ids{s ? vocabulary - 1 : 0};
        state = batch.start;
        const Ids ids = subject.generate(B, first, state, 5, {SAMPLINGS[s]}, forbidden);
        record.add(ids);
        record.add(state);
        for (int32_t id : ids) {
            check(id >= 0 && id < vocabulary, "an id outside the vocabulary is generated");
            for (int32_t no : forbidden) check(id != no, "a forbidden id is generated");
        }
        state = batch.start;
        Ids halves = subject.generate(B, first, state, 2, {SAMPLINGS[s]}, forbidden);
        const Ids rest = subject.generate(B, Ids(halves.end() - B, halves.end()), state, 3,
                                          {SAMPLINGS[s]}, forbidden, 2);
        halves.insert(halves.end(), rest.begin(), rest.end());
        check(halves == ids, "2 and then 3 characters are not 5");
    }

    // Even and odd ids by turns, from whichever stream b % 3 begins with; the third has no table.
    // What leads out of a table is no way, and after 3 ids nothing may come.
    const Ids following{1, 99, -7, 0}, distance{1, 0};
    Ids classes(vocabulary);
    for (int v = 0; v < vocabulary; ++v) classes[v] = v % 2;
    std::vector<Restriction> restrictions(B);
    Ids states(6 * static_cast<size_t>(B));
    for (int b = 0; b < B; ++b) {
        states[b] = b % 3;
        if (b % 3 < 2)
            restrictions[b] = {following.data(), distance.data(), classes.data(), 2, 2, 3};
    }
    state = batch.start;
    const Ids turns =
        subject.generate(B, first, state, 5, SAMPLINGS, {}, 0, restrictions, states.data());
    record.add(turns);
    record.add(states);
    for (int b = 0; b < B && vocabulary > 1; ++b)
        for (int n = 0; b % 3 < 2 && n < 3 && states[(n + 1) * B + b] >= 0; ++n)
            check(turns[n * B + b] % 2 == (n + b % 3) % 2 &&
                      states[(n + 1) * B + b] == (n + 1 + b % 3) % 2,
                  "an id that a table does not allow is generated");
    for (int b = 0; b < B; ++b)
        check(states[5 * B + b] == -1 && (vocabulary < 2 || b % 3 > 1 || states[B + b] >= 0),
              "the states of a table are wrong");

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

inline void check_halves(Subject& subject, const Case& c, const Batch& batch) {
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

}  // namespace charloom
