// A model file: model/storage/file.py and container.py in C++ (docs/file-format.md).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "interface/vocabulary.h"
#include "network/network.h"

namespace charloom {

struct ModelFile {
    std::string cell;
    Shape shape;
    Vocabulary vocabulary;
    bool lines;         // each line is a text of its own
    bool wants_nfc;     // its text was in that form
    std::string digest;
    std::map<std::string, std::string_view> tensors;  // into the bytes it was read from; float32

    // From the bytes of a file, which stay where they are. BadModel where it is not whole, not a
    // model, or does not hold the tensors that its settings call for.
    static ModelFile read(std::string_view bytes);

    // Into a network of its cell and shape; `rounded` to 8 bits where they are multiplied with
    // hidden states (engines/int8.py).
    void write_to(Network& network, bool rounded) const;
};

}  // namespace charloom
