#include "interface/vocabulary.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "interface/utf8.h"

namespace charloom {
namespace {

constexpr int SCALAR_VALUES = 0x110000 - 0x800;  // characters that Unicode has room for

}  // namespace

Vocabulary::Vocabulary(const Json& stored) {
    const std::string& kind = stored.at("kind", Json::Type::text).text;
    const std::string& characters = stored.at("characters", Json::Type::text).text;
    has_unknown_ = stored.at("unknown", Json::Type::boolean).boolean;
    is_bytes_ = kind == "bytes";
    const auto check = [](bool right) {
        if (!right) throw BadModel("is damaged: its vocabulary makes no sense");
    };
    check(is_bytes_ || kind == "characters");
    check(decode_utf8(characters, [&](uint32_t code) {
        check(codes_.empty() || codes_.back() < code);
        codes_.push_back(code);
    }));
    check(is_bytes_ ? codes_.empty() && !has_unknown_ : !codes_.empty());
    newline_id_ = is_bytes_ ? '\n' : id_of('\n');
}

double Vocabulary::unknown_nats() const {
    return has_unknown_ ? std::log(static_cast<double>(SCALAR_VALUES) - codes_.size()) : 0;
}

std::vector<int32_t> Vocabulary::encode(std::string_view text) const {
    std::vector<int32_t> ids;
    std::string utf8;
    size_t position = 0;
    const auto add = [&](uint32_t code) {
        if (is_bytes_) {
            utf8.clear();
            append_utf8(utf8, code);
            for (const char c : utf8) ids.push_back(static_cast<uint8_t>(c));
            return;
        }
        const int32_t id = id_of(code);
        if (id < 0 && !has_unknown_) {
            char message[160];
            std::snprintf(message, sizeof message,
                          "the character U+%04X at position %zu (the first is 0) is not in the "
                          "model's vocabulary, which has no unknown to read it as",
                          static_cast<unsigned>(code), position);
            throw BadText(message);
        }
        ids.push_back(id < 0 ? unknown_id() : id);
    };
    const bool right = decode_normalized(text, [&](uint32_t code) {
        add(code);
        ++position;
    });
    if (!right)
        throw BadText("the text is no UTF-8 after " + std::to_string(position) + " characters");
    return ids;
}

int32_t Vocabulary::id_of(uint32_t code) const {
    const auto found = std::lower_bound(codes_.begin(), codes_.end(), code);
    if (found == codes_.end() || *found != code) return -1;
    return static_cast<int32_t>(found - codes_.begin());
}

}  // namespace charloom
