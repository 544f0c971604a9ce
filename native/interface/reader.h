// A model that reads one text: its network, and where in the text it is.
//
// The last id is not read before what follows it is asked for. So a place in a text is the state
// before it, the last id (-1 of nothing), and how many ids were drawn. A call that throws leaves the
// place as it was.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "interface/model_file.h"
#include "network/network.h"

namespace charloom {

struct Place {
    std::vector<float> hidden, cell;  // (L, H)
    int32_t last = -1;
    int64_t drawn = 0;

    StatePointers pointers() { return {hidden.data(), cell.data()}; }
};

struct Total {
    double nats = 0;
    size_t characters = 0, unknown = 0;
};

class Reader {
public:
    // std::invalid_argument for a precision that there is not.
    Reader(const ModelFile& file, const std::string& precision, int threads);

    const Vocabulary vocabulary;
    const bool lines, wants_nfc;
    const std::string digest;
    const size_t state_numbers;  // in each part of a state
    Place place;

    void reset();
    void read(std::string_view text);
    void read(const std::vector<int32_t>& ids);
    // Up to `length` characters; where piece(text) is false, they end.
    void generate(size_t length, const Sampling& sampling, uint64_t seed, const std::string& stop,
                  const std::function<bool(const std::string&)>& piece);
    // Of each character, too, where `nats` is not null.
    Total score(std::string_view text, double* nats);
    // ln p of each id to come next.
    void next(float* log_probabilities);

private:
    // Of a model of lines nothing before a line feed matters for what is after it.
    void begin_line(Place& at) const;
    bool is_newline(int32_t id) const { return id == vocabulary.newline_id(); }
    // Reads the last id and all but the last of those that follow; `nats` of them or null.
    void follow(Place& at, const int32_t* ids, size_t count, float* nats);

    const std::unique_ptr<Network> network_;
};

}  // namespace charloom
