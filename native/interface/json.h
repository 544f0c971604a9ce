// JSON of files that anyone may have written: limited in depth and values, never trusted.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace charloom {

// A file that is no model of ours; what() says why, after the name of the file.
struct BadModel : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Json {
    enum class Type { null, boolean, integer, other_number, text, array, object };
    Type type = Type::null;
    bool boolean = false;
    int64_t integer = 0;
    std::string text;  // UTF-8; halves of surrogate pairs as three bytes each
    std::vector<Json> items;
    std::vector<std::pair<std::string, Json>> members;

    // The member of this name, the last of several; null where there is none, or no object.
    const Json* find(std::string_view name) const;
    // The same of this type; BadModel where there is none.
    const Json& at(std::string_view name, Type type) const;
};

// BadModel for anything but one JSON value, for more than 100,000 values or 32 levels.
Json parse_json(std::string_view text);

}  // namespace charloom
