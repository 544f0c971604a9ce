// Characters and ids: text/vocabulary.py and text/normalizing.py in C++.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "interface/json.h"

namespace charloom {

// A text that cannot be read; what() says which character, and where.
struct BadText : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Vocabulary {
public:
    // BadModel for what a model file should not say.
    explicit Vocabulary(const Json& stored);

    int size() const { return is_bytes_ ? 256 : static_cast<int>(codes_.size()) + has_unknown_; }
    bool is_bytes() const { return is_bytes_; }
    int32_t unknown_id() const { return has_unknown_ ? size() - 1 : -1; }  // -1: there is none
    int32_t newline_id() const { return newline_id_; }                      // -1: there is none
    double unknown_nats() const;  // for saying which unknown character it was

    // The ids of a text, normalized; BadText where it has none.
    std::vector<int32_t> encode(std::string_view text) const;
    // The code point of an id, U+FFFD of the unknown; not for bytes.
    uint32_t code(int32_t id) const { return id == unknown_id() ? 0xfffd : codes_[id]; }

private:
    int32_t id_of(uint32_t code) const;  // -1: there is none

    bool is_bytes_ = false, has_unknown_ = false;
    int32_t newline_id_ = -1;
    std::vector<uint32_t> codes_;  // ascending, that of each id
};

}  // namespace charloom
