// UTF-8: code points into bytes, and bytes into code points, strictly or bit by bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace charloom {

inline void append_utf8(std::string& to, uint32_t code) {
    const auto add = [&](uint32_t byte) { to += static_cast<char>(byte); };
    if (code < 0x80) return add(code);
    if (code < 0x800) {
        add(0xc0 | code >> 6);
    } else {
        if (code < 0x10000) {
            add(0xe0 | code >> 12);
        } else {
            add(0xf0 | code >> 18);
            add(0x80 | (code >> 12 & 0x3f));
        }
        add(0x80 | (code >> 6 & 0x3f));
    }
    add(0x80 | (code & 0x3f));
}

// A decoder that takes bytes one by one. Where they are no UTF-8, it gives U+FFFD for each longest
// beginning of a character, as Python does with errors="replace" (Unicode 15, section 3.9).
class Utf8Decoder {
public:
    // f(code point, whether it stands for bytes that are none), never, once, or twice.
    template <class F>
    void take(uint8_t byte, F&& f) {
        if (left_) {
            if (byte >= low_ && byte <= high_) {
                code_ = code_ << 6 | (byte & 0x3f);
                low_ = 0x80, high_ = 0xbf;
                if (--left_ == 0) f(code_, false);
                return;
            }
            left_ = 0;
            f(0xfffdu, true);
        }
        low_ = 0x80, high_ = 0xbf;
        if (byte < 0x80) {
            f(byte, false);
        } else if (byte >= 0xc2 && byte < 0xe0) {
            begin(1, byte & 0x1f);
        } else if (byte >= 0xe0 && byte < 0xf0) {
            if (byte == 0xe0) low_ = 0xa0;
            if (byte == 0xed) high_ = 0x9f;  // no halves of surrogate pairs
            begin(2, byte & 0x0f);
        } else if (byte >= 0xf0 && byte < 0xf5) {
            if (byte == 0xf0) low_ = 0x90;
            if (byte == 0xf4) high_ = 0x8f;
            begin(3, byte & 0x07);
        } else {
            f(0xfffdu, true);
        }
    }
    bool is_between() const { return left_ == 0; }  // two characters

private:
    void begin(int left, uint32_t code) { left_ = left, code_ = code; }

    int left_ = 0;  // bytes that the character still needs
    uint32_t code_ = 0;
    uint8_t low_ = 0x80, high_ = 0xbf;  // of the next byte
};

// f(code point) for each character; false, and no further call, where the text is no UTF-8.
template <class F>
bool decode_utf8(std::string_view text, F&& f) {
    Utf8Decoder decoder;
    bool right = true;
    for (const char c : text) {
        decoder.take(static_cast<uint8_t>(c), [&](uint32_t code, bool wrong) {
            right = right && !wrong;
            if (right) f(code);
        });
        if (!right) return false;
    }
    return decoder.is_between();
}

// The same for a text that is normalized (text/normalizing.py): without a byte order mark at its
// start, and with LF at the end of lines.
template <class F>
bool decode_normalized(std::string_view text, F&& f) {
    bool first = true, after_return = false;
    return decode_utf8(text, [&](uint32_t code) {
        const bool mark = code == 0xfeff && first;
        const bool second = code == '\n' && after_return;  // of CRLF
        first = false, after_return = code == '\r';
        if (!mark && !second) f(after_return ? uint32_t{'\n'} : code);
    });
}

}  // namespace charloom
