// Ids become characters, and it shows where a text ends: model/generation.py's _Writer in C++.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "interface/utf8.h"
#include "interface/vocabulary.h"

namespace charloom {

class Writer {
public:
    Writer(const Vocabulary& vocabulary, size_t length, std::vector<std::string> stops)
        : vocabulary_(vocabulary), stops_(std::move(stops)), left_(length) {}

    size_t left() const { return left_; }  // characters that may still come
    bool ended() const { return ended_ || left_ == 0; }

    // The characters of one more id.
    void add(int32_t id) {
        auto add_code = [&](uint32_t code) {
            if (ended()) return;
            append_utf8(held_, code);
            --left_;
            find_stop();
        };
        if (vocabulary_.is_bytes())  // a character may be cut: the decoder keeps it
            decoder_.take(static_cast<uint8_t>(id), [&](uint32_t code, bool) { add_code(code); });
        else
            add_code(vocabulary_.code(id));
    }

    // The text that is certain by now, once; what may begin a stop string waits.
    std::string take() {
        const size_t certain = ended() ? held_.size() : held_.size() - waiting();
        std::string taken = held_.substr(0, certain);
        held_.erase(0, certain);
        return taken;
    }

private:
    // Whether a stop string ends here; of two the longer one begins earlier.
    void find_stop() {
        size_t first = std::string::npos;
        for (const std::string& stop : stops_)
            if (held_.size() >= stop.size() &&
                held_.compare(held_.size() - stop.size(), stop.size(), stop) == 0)
                first = std::min(first, held_.size() - stop.size());
        if (first == std::string::npos) return;
        held_.resize(first);
        ended_ = true;
    }
    // How many bytes at the end of what is held begin a stop string.
    size_t waiting() const {
        size_t most = 0;
        for (const std::string& stop : stops_)
            for (size_t size = std::min(stop.size() - 1, held_.size()); size > most; --size)
                if (held_.compare(held_.size() - size, size, stop, 0, size) == 0) most = size;
        return most;
    }

    const Vocabulary& vocabulary_;
    const std::vector<std::string> stops_;
    Utf8Decoder decoder_;
    std::string held_;
    size_t left_;
    bool ended_ = false;
};

}  // namespace charloom
