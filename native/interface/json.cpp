#include "interface/json.h"

#include "interface/utf8.h"

namespace charloom {
namespace {

constexpr int DEEPEST = 32, MOST_VALUES = 100'000;

class Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {}

    Json parse() {
        Json value = parse_value(0);
        skip_space();
        if (at_ < text_.size()) fail("goes on after its end");
        return value;
    }

private:
    [[noreturn]] static void fail(const char* why) {
        throw BadModel(std::string("is damaged: its JSON ") + why);
    }
    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    char next() {
        if (at_ == text_.size()) fail("ends too early");
        return text_[at_++];
    }
    void skip_space() {
        while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r') ++at_;
    }
    bool take(char c) {
        skip_space();
        if (peek() != c || at_ == text_.size()) return false;
        ++at_;
        return true;
    }
    void expect(char c) {
        if (!take(c)) fail("is none");
    }
    bool take_word(std::string_view word) {
        if (text_.substr(at_, word.size()) != word) return false;
        at_ += word.size();
        return true;
    }

    Json parse_value(int depth) {
        if (depth > DEEPEST) fail("is nested too deep");
        if (++values_ > MOST_VALUES) fail("has too many values");
        skip_space();
        Json value;
        if (take('{')) {
            value.type = Json::Type::object;
            if (take('}')) return value;
            do {
                expect('"');
                std::string name = parse_text();
                expect(':');
                value.members.emplace_back(std::move(name), parse_value(depth + 1));
            } while (take(','));
            expect('}');
        } else if (take('[')) {
            value.type = Json::Type::array;
            if (take(']')) return value;
            do value.items.push_back(parse_value(depth + 1));
            while (take(','));
            expect(']');
        } else if (take('"')) {
            value.type = Json::Type::text;
            value.text = parse_text();
        } else if (take_word("true")) {
            value.type = Json::Type::boolean;
            value.boolean = true;
        } else if (take_word("false")) {
            value.type = Json::Type::boolean;
        } else if (!take_word("null")) {
            parse_number(value);
        }
        return value;
    }

    // Whole numbers of up to 18 digits are what is used; of others it is enough to know that they
    // are numbers.
    void parse_number(Json& value) {
        const size_t start = at_;
        const auto in = [&](std::string_view set) { return peek() && set.find(peek()) != set.npos; };
        if (peek() == '-') ++at_;
        while (in("0123456789")) ++at_;
        const size_t digits = at_ - start;
        const bool whole = !in(".eE");
        while (in("0123456789+-.eE")) ++at_;
        if (!digits || text_[at_ - 1] == '-') {
            if (!take_word("NaN") && !take_word("Infinity")) fail("is none");
            value.type = Json::Type::other_number;
            return;
        }
        value.type = whole && digits <= 18 ? Json::Type::integer : Json::Type::other_number;
        if (value.type == Json::Type::integer)
            value.integer = std::stoll(std::string(text_.substr(start, digits)));
    }

    std::string parse_text() {
        std::string found;
        for (;;) {
            const char c = next();
            if (c == '"') return found;
            if (static_cast<unsigned char>(c) < 0x20) fail("has a control character in a string");
            if (c != '\\') {
                found += c;
                continue;
            }
            switch (const char escape = next()) {
                case 'b': found += '\b'; break;
                case 'f': found += '\f'; break;
                case 'n': found += '\n'; break;
                case 'r': found += '\r'; break;
                case 't': found += '\t'; break;
                case 'u': append_utf8(found, parse_escaped()); break;
                case '"': case '\\': case '/': found += escape; break;
                default: fail("has an escape that there is not");
            }
        }
    }
    uint32_t parse_escaped() {
        const uint32_t first = parse_hexadecimal();
        if (first < 0xd800 || first >= 0xdc00 || text_.substr(at_, 2) != "\\u") return first;
        const size_t before = at_;
        at_ += 2;
        const uint32_t second = parse_hexadecimal();
        if (second >= 0xdc00 && second < 0xe000)
            return 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        at_ = before;
        return first;
    }
    uint32_t parse_hexadecimal() {
        uint32_t code = 0;
        for (int n = 0; n < 4; ++n) {
            const char c = next();
            const char lower = static_cast<char>(c | 0x20);
            if (c >= '0' && c <= '9')
                code = code * 16 + (c - '0');
            else if (lower >= 'a' && lower <= 'f')
                code = code * 16 + (lower - 'a' + 10);
            else
                fail("has an escape that there is not");
        }
        return code;
    }

    const std::string_view text_;
    size_t at_ = 0;
    int values_ = 0;
};

}  // namespace

const Json* Json::find(std::string_view name) const {
    for (auto member = members.rbegin(); member != members.rend(); ++member)
        if (member->first == name) return &member->second;
    return nullptr;
}

const Json& Json::at(std::string_view name, Type type) const {
    const Json* found = find(name);
    if (!found || found->type != type)
        throw BadModel("is damaged: its description has no proper " + std::string(name));
    return *found;
}

Json parse_json(std::string_view text) { return Parser(text).parse(); }

}  // namespace charloom
