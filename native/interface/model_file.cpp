#include "interface/model_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "interface/sha256.h"
#include "network/kernel_sets.h"

namespace charloom {
namespace {

constexpr size_t LONGEST_HEADER = size_t{32} << 20;
constexpr std::string_view MARK = R"({\"digest\":\")";  // within a string within JSON
constexpr size_t DIGEST = 64;
constexpr const char* FOREIGN = "is not a charloom model";
constexpr const char* DAMAGED = "is damaged: its bytes are not those that were written";

int64_t number(const Json& of, const char* name, int64_t least, int64_t most) {
    const int64_t found = of.at(name, Json::Type::integer).integer;
    if (found < least || found > most)
        throw BadModel(std::string("is damaged: its ") + name + " is out of range");
    return found;
}

// Bytes of a tensor of float32, after a check of its entry in the header.
std::string_view tensor(const Json& entry, std::string_view data) {
    const auto check = [](bool right) {
        if (!right) throw BadModel("is damaged: one of its tensors makes no sense");
    };
    check(entry.at("dtype", Json::Type::text).text == "F32");
    const auto& offsets = entry.at("data_offsets", Json::Type::array).items;
    check(offsets.size() == 2 && offsets[0].type == Json::Type::integer &&
          offsets[1].type == Json::Type::integer);
    const int64_t start = offsets[0].integer, stop = offsets[1].integer;
    check(start >= 0 && start <= stop && static_cast<uint64_t>(stop) <= data.size());
    size_t size = sizeof(float);
    for (const Json& side : entry.at("shape", Json::Type::array).items) {
        check(side.type == Json::Type::integer && side.integer >= 0 && side.integer < 1 << 30);
        check(size <= data.size());
        size *= static_cast<size_t>(side.integer);
    }
    check(size == static_cast<size_t>(stop - start));
    return data.substr(start, size);
}

void check_shape(const Json& entry, std::initializer_list<int64_t> wanted) {
    const auto& shape = entry.at("shape", Json::Type::array).items;
    const bool right = std::equal(shape.begin(), shape.end(), wanted.begin(), wanted.end(),
                                  [](const Json& a, int64_t b) { return a.integer == b; });
    if (!right) throw BadModel("is damaged: its tensors do not have the shapes of its settings");
}

std::string header_of(std::string_view bytes) {
    uint64_t size = 0;
    for (int n = 7; n >= 0 && bytes.size() > 8; --n)
        size = size << 8 | static_cast<uint8_t>(bytes[n]);
    if (bytes.size() <= 8 || bytes[8] != '{' || size > LONGEST_HEADER) throw BadModel(FOREIGN);
    if (size > bytes.size() - 8) throw BadModel("is truncated");
    return std::string(bytes.substr(8, size));
}

// The digest that a file has, if it is that of its bytes.
std::string checked_digest(std::string_view bytes, const std::string& header) {
    const size_t at = header.find(MARK);
    if (at == std::string::npos || at + MARK.size() + DIGEST > header.size())
        throw BadModel(FOREIGN);
    const size_t start = 8 + at + MARK.size();
    const std::string blank(DIGEST, '0');
    Sha256 sum;
    sum.add(bytes.data(), start);
    sum.add(blank.data(), DIGEST);
    sum.add(bytes.data() + start + DIGEST, bytes.size() - start - DIGEST);
    std::string found = sum.hexadecimal();
    if (bytes.substr(start, DIGEST) != found) throw BadModel(DAMAGED);
    return found;
}

// That of the smallest network there is.
CellInfo cell_info(const std::string& cell) {
    return make_network("baseline", cell, "float32", {1, 0, 1, 1}, 1)->cell();
}

std::vector<float> floats(std::string_view bytes) {
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
    return values;
}

// Each row a scale times whole numbers from -127 to 127, in float32 throughout.
void round_rows(std::vector<float>& values, size_t columns) {
    for (size_t row = 0; row < values.size(); row += columns) {
        float most = 0;
        for (size_t k = 0; k < columns; ++k) most = std::max(most, std::abs(values[row + k]));
        const float scale = (most > 0 ? most : 1) / 127;
        for (size_t k = 0; k < columns; ++k)
            values[row + k] = std::nearbyint(values[row + k] / scale) * scale;
    }
}

const Json* find_path(const Json& from, std::initializer_list<const char*> path) {
    const Json* at = &from;
    for (const char* name : path)
        if (at) at = at->find(name);
    return at;
}

}  // namespace

ModelFile ModelFile::read(std::string_view bytes) {
    const std::string header = header_of(bytes);
    const std::string_view data = bytes.substr(8 + header.size());
    const Json entries = parse_json(header);
    const Json* text = find_path(entries, {"__metadata__", "charloom"});
    if (!text || text->type != Json::Type::text) throw BadModel(FOREIGN);
    std::string digest = checked_digest(bytes, header);
    const Json description = parse_json(text->text);
    const Json* format = description.find("format");
    if (!format || format->type != Json::Type::integer || format->integer != 1)
        throw BadModel("is of another format than 1, which this library reads");
    if (description.at("kind", Json::Type::text).text != "model")
        throw BadModel("is a checkpoint or another file, not a model");

    const Json& settings = description.at("settings", Json::Type::object);
    ModelFile file{settings.at("cell", Json::Type::text).text,
                   {},
                   Vocabulary(description.at("vocabulary", Json::Type::object)),
                   false,
                   false,
                   std::move(digest),
                   {}};
    const auto known = charloom::cells();
    if (std::find(known.begin(), known.end(), file.cell) == known.end())
        throw BadModel("has a cell that this library does not know");
    file.shape.vocabulary = file.vocabulary.size();
    file.shape.hidden = static_cast<int>(number(settings, "hidden_size", 1, 65536));
    file.shape.layers = static_cast<int>(number(settings, "num_layers", 1, 64));
    file.shape.embedding = static_cast<int>(number(settings, "embedding_size", 0, 65536));
    const Json& record = description.at("record", Json::Type::object);
    const auto says = [&](std::initializer_list<const char*> path, const char* value) {
        const Json* found = find_path(record, path);
        return found && found->type == Json::Type::text && found->text == value;
    };
    file.lines = says({"training", "batches"}, "lines");
    file.wants_nfc = says({"text", "normalization"}, "nfc");
    if (file.lines && file.vocabulary.newline_id() < 0)
        throw BadModel("is damaged: a model of lines that has no line feed");

    // Every tensor must have the shape that follows from that of the smallest network, and the sizes
    // are those of the bytes in hand: so nothing larger than the file is made of it.
    const int64_t V = file.shape.vocabulary, H = file.shape.hidden, E = file.shape.embedding;
    const auto take = [&](const std::string& name, std::initializer_list<int64_t> shape) {
        const Json* entry = entries.find(name);
        if (!entry) throw BadModel("is damaged: its tensor " + name + " is missing");
        file.tensors[name] = tensor(*entry, data);
        check_shape(*entry, shape);
    };
    if (E) take("embedding.weight", {V, E});
    const auto groups = static_cast<int64_t>(cell_info(file.cell).input.size());
    for (int layer = 0; layer < file.shape.layers; ++layer) {
        const std::string of = "_l" + std::to_string(layer), from = file.cell + ".";
        take(from + "weight_ih" + of, {groups * H, layer ? H : E ? E : V});
        take(from + "weight_hh" + of, {groups * H, H});
        take(from + "bias_ih" + of, {groups * H});
        take(from + "bias_hh" + of, {groups * H});
    }
    take("head.weight", {V, H});
    take("head.bias", {V});
    if (entries.members.size() != file.tensors.size() + 1)
        throw BadModel("is damaged: it has tensors that its settings do not call for");
    return file;
}

void ModelFile::write_to(Network& network, bool rounded) const {
    const CellInfo& info = network.cell();
    const size_t H = shape.hidden;
    int number = 0;
    const auto write = [&](const std::string& name, bool multiplied) {
        std::vector<float> values = floats(tensors.at(name));
        if (rounded && multiplied) round_rows(values, H);
        network.write(number++, Kind::weight, values.data());
    };
    // PyTorch has two biases; those that add to the same sum are one here.
    const auto write_bias = [&](const std::string& of_input, const std::string& of_state) {
        std::vector<float> bias(info.bias.size() * H);
        const auto add = [&](const std::string& name, const std::vector<int>& sums) {
            const std::vector<float> values = floats(tensors.at(name));
            for (size_t group = 0; group < sums.size(); ++group) {
                const auto place = std::find(info.bias.begin(), info.bias.end(), sums[group]);
                const size_t at = static_cast<size_t>(place - info.bias.begin()) * H;
                for (size_t u = 0; u < H; ++u) bias[at + u] += values[group * H + u];
            }
        };
        add(of_input, info.input);
        add(of_state, info.recurrent);
        network.write(number++, Kind::weight, bias.data());
    };
    if (shape.embedding) write("embedding.weight", false);
    for (int layer = 0; layer < shape.layers; ++layer) {
        const std::string of = "_l" + std::to_string(layer), from = cell + ".";
        write(from + "weight_ih" + of, layer > 0);
        write(from + "weight_hh" + of, true);
        write_bias(from + "bias_ih" + of, from + "bias_hh" + of);
    }
    write("head.weight", true);
    write("head.bias", false);
}

}  // namespace charloom
