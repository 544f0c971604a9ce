#include "interface/reader.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "interface/writer.h"
#include "network/kernel_sets.h"
#include "support/random.h"

namespace charloom {
namespace {

constexpr size_t BLOCK = 256;        // ids that are read in one call
constexpr size_t LONGEST_PIECE = 16;  // ids; the first is one, and each is twice as long as the last
constexpr double GRAIN = 0x1p-20;    // nats; every surprisal is a multiple of it (model/surprisal.py)

std::unique_ptr<Network> network_of(const ModelFile& file, std::string precision, int threads) {
    const std::string kernels = available_kernels().front();
    if (precision == "auto") precision = kernels == "avx512_bf16" ? "bfloat16" : "float32";
    if (precision == "bfloat16" && kernels != "avx512_bf16")
        throw std::invalid_argument("precision: this processor does not multiply bfloat16; give "
                                    "auto, float32 or int8");
    auto network = make_network(kernels, file.cell, precision, file.shape, threads);
    file.write_to(*network, precision == "int8");
    return network;
}

}  // namespace

Reader::Reader(const ModelFile& file, const std::string& precision, int threads)
    : vocabulary(file.vocabulary),
      lines(file.lines),
      wants_nfc(file.wants_nfc),
      digest(file.digest),
      state_numbers(static_cast<size_t>(file.shape.layers) * file.shape.hidden),
      network_(network_of(file, precision, threads)) {
    reset();
}

void Reader::reset() {
    Place start;
    start.hidden.resize(state_numbers);
    start.cell.resize(state_numbers);
    place = std::move(start);
}

void Reader::begin_line(Place& at) const {
    std::fill(at.hidden.begin(), at.hidden.end(), 0.0f);
    std::fill(at.cell.begin(), at.cell.end(), 0.0f);
    at.last = vocabulary.newline_id();
}

void Reader::read(std::string_view text) { read(vocabulary.encode(text)); }

void Reader::read(const std::vector<int32_t>& ids) {
    Place at = place;
    size_t from = 0;
    if (lines) {
        for (size_t n = 0; n < ids.size(); ++n)
            if (is_newline(ids[n])) from = n + 1;
        if (from || at.last < 0) begin_line(at);
    }
    if (at.last < 0 && from < ids.size()) at.last = ids[from++];
    for (; from < ids.size(); from += BLOCK)
        follow(at, &ids[from], std::min(BLOCK, ids.size() - from), nullptr);
    place = std::move(at);
}

void Reader::follow(Place& at, const int32_t* ids, size_t count, float* nats) {
    std::vector<int32_t> inputs{at.last}, targets(count, -1);  // -1 is not counted
    inputs.insert(inputs.end(), ids, ids + count - 1);
    if (nats) targets.assign(ids, ids + count);
    std::vector<float> ignored(count);
    network_->surprise(static_cast<int>(count), 1, inputs.data(), targets.data(), at.pointers(),
                       nats ? nats : ignored.data(), nullptr);
    at.last = ids[count - 1];
}

void Reader::generate(size_t length, const Sampling& sampling, uint64_t seed,
                      const std::string& stop,
                      const std::function<bool(const std::string&)>& piece) {
    Place at = place;
    std::vector<int32_t> forbidden;
    if (vocabulary.unknown_id() >= 0) forbidden.push_back(vocabulary.unknown_id());
    std::vector<std::string> stops;
    if (!stop.empty()) stops.push_back(stop);
    if (lines) stops.emplace_back("\n");
    Writer writer(vocabulary, length, std::move(stops));
    const uint64_t of_stream = stream_seed(seed, 0);
    bool goes_on = true;
    const auto hand_over = [&] {
        const std::string text = writer.take();
        if (!text.empty()) goes_on = piece(text);
    };
    if (at.last < 0 && vocabulary.newline_id() >= 0) {
        at.last = vocabulary.newline_id();
    } else if (at.last < 0 && length) {
        const auto allowed = vocabulary.size() - static_cast<int>(forbidden.size());
        at.last = static_cast<int32_t>(uniform(of_stream, at.drawn++) * allowed);
        writer.add(at.last);
        hand_over();
    }
    std::vector<int32_t> ids(LONGEST_PIECE);
    size_t size = 1;
    while (goes_on && !writer.ended()) {
        size = std::min(size, writer.left());
        const Place before = at;
        const auto draw = [&](size_t count) {
            at = before;
            network_->generate({1, &before.last, static_cast<int>(count), &sampling, &of_stream,
                                &before.drawn, forbidden, ids.data()},
                               at.pointers());
            at.last = ids[count - 1];
            at.drawn += static_cast<int64_t>(count);
        };
        draw(size);
        size_t used = 0;
        while (used < size && !writer.ended()) writer.add(ids[used++]);
        if (used < size) draw(used);  // the same ids, and the place where the text ends
        hand_over();
        size = std::min(2 * size, LONGEST_PIECE);
    }
    if (lines && is_newline(at.last)) begin_line(at);
    place = std::move(at);
}

Total Reader::score(std::string_view text, double* nats) {
    std::vector<int32_t> ids = vocabulary.encode(text);
    if (lines && !ids.empty() && !is_newline(ids.back())) ids.push_back(vocabulary.newline_id());
    Place at = place;
    std::vector<float> found(ids.size());
    size_t n = 0;
    if (at.last < 0 && lines) {
        begin_line(at);
    } else if (at.last < 0 && !ids.empty()) {
        at.last = ids[n++];
    }
    const bool blind = n > 0;
    while (n < ids.size()) {
        size_t count = std::min(BLOCK, ids.size() - n);
        for (size_t k = 0; lines && k < count; ++k)
            if (is_newline(ids[n + k])) count = k + 1;
        follow(at, &ids[n], count, &found[n]);
        if (lines && is_newline(at.last)) begin_line(at);
        n += count;
    }
    Total total;
    for (n = 0; n < ids.size(); ++n) {
        const bool unknown = ids[n] == vocabulary.unknown_id();
        double own = blind && n == 0 ? std::log(vocabulary.size()) : found[n];
        if (unknown) own += vocabulary.unknown_nats();
        own = std::nearbyint(own / GRAIN) * GRAIN;
        total.nats += own;
        total.unknown += unknown;
        const bool goes_on = vocabulary.is_bytes() && (ids[n] & 0xc0) == 0x80;
        if (nats && !goes_on) nats[total.characters] = own;
        if (nats && goes_on) nats[total.characters - 1] += own;
        total.characters += !goes_on;
    }
    place = std::move(at);
    return total;
}

void Reader::next(float* log_probabilities) {
    const int V = vocabulary.size();
    Place at = place;
    if (at.last < 0) at.last = vocabulary.newline_id();
    std::vector<float> logits(V);
    if (at.last >= 0) network_->logits(1, 1, &at.last, at.pointers(), logits.data());
    const double most = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float logit : logits) sum += std::exp(logit - most);
    for (int v = 0; v < V; ++v)
        log_probabilities[v] = static_cast<float>(logits[v] - most - std::log(sum));
}

}  // namespace charloom
