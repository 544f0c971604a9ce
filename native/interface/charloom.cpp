// charloom.h: what C sees. Arguments are checked here, and every exception becomes a code.
#include "charloom.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <thread>

#include "interface/reader.h"
#include "interface/utf8.h"

struct charloom_model {
    explicit charloom_model(const charloom::ModelFile& file, const std::string& precision,
                            int threads)
        : reader(file, precision, threads) {}

    charloom::Reader reader;
    std::mutex mutex;
    std::atomic<std::thread::id> user{};  // the thread that computes with it now
};

namespace charloom {
namespace {

thread_local char message[512] = "";

struct BadArgument : std::invalid_argument {
    using std::invalid_argument::invalid_argument;
};
struct NoFile : std::runtime_error {
    using std::runtime_error::runtime_error;
};

void check(bool right, const char* what) {
    if (!right) throw BadArgument(what);
}

charloom_code failed(charloom_code code, const char* why) {
    std::snprintf(message, sizeof message, "%s", why);
    return code;
}

template <class F>
charloom_code guarded(F&& f) {
    try {
        f();
        return CHARLOOM_OK;
    } catch (const NoFile& error) {
        return failed(CHARLOOM_NO_FILE, error.what());
    } catch (const BadModel& error) {
        return failed(CHARLOOM_BAD_MODEL, error.what());
    } catch (const BadText& error) {
        return failed(CHARLOOM_BAD_TEXT, error.what());
    } catch (const std::invalid_argument& error) {
        return failed(CHARLOOM_BAD_ARGUMENT, error.what());
    } catch (const std::bad_alloc&) {
        return failed(CHARLOOM_NO_MEMORY, "there is not enough memory");
    } catch (const std::length_error&) {
        return failed(CHARLOOM_NO_MEMORY, "there is not enough memory");
    } catch (const std::exception& error) {
        return failed(CHARLOOM_INTERNAL, error.what());
    } catch (...) {
        return failed(CHARLOOM_INTERNAL, "an unknown fault");
    }
}

// f(reader), while no other thread uses it.
template <class F>
charloom_code with(charloom_model* model, F&& f) {
    return guarded([&] {
        check(model, "model: NULL was given");
        check(model->user != std::this_thread::get_id(),
              "a callback used the model that is calling it; it has to return first");
        const std::lock_guard<std::mutex> lock(model->mutex);
        struct Use {
            std::atomic<std::thread::id>& user;
            explicit Use(std::atomic<std::thread::id>& user) : user(user) {
                user = std::this_thread::get_id();
            }
            ~Use() { user = std::thread::id(); }
        } use(model->user);
        f(model->reader);
    });
}

std::string_view text_of(const char* text, size_t bytes) {
    check(text || !bytes, "text: NULL was given");
    return {text ? text : "", bytes};
}

std::string bytes_of(const char* path) {
    const std::string name = path;
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path, "rb"),
                                                               std::fclose);
    if (!file) throw NoFile(name + ": cannot be opened");
    std::string bytes;
    for (size_t room = size_t{1} << 16;; room = std::min(2 * room, size_t{1} << 24)) {
        const size_t before = bytes.size();
        bytes.resize(before + room);
        bytes.resize(before + std::fread(&bytes[before], 1, room, file.get()));
        if (std::ferror(file.get())) throw NoFile(name + ": cannot be read");
        if (bytes.size() == before) return bytes;
    }
}

charloom_model* open(std::string_view bytes, const std::string& name,
                     const charloom_options& options) {
    check(options.threads >= 1 && options.threads <= 1024, "threads: it must be 1 to 1024");
    const std::string precision = options.precision ? options.precision : "auto";
    check(precision == "auto" || precision == "float32" || precision == "bfloat16" ||
              precision == "int8",
          "precision: it must be auto, float32, bfloat16 or int8");
    try {
        return new charloom_model(ModelFile::read(bytes), precision, options.threads);
    } catch (const BadModel& error) {
        throw BadModel(name + " " + error.what());
    }
}

Sampling checked(const charloom_sampling& asked) {
    check(asked.temperature == 0 || (asked.temperature >= 1e-4 && asked.temperature <= 100),
          "temperature: it must be 0, or 0.0001 to 100");
    check(asked.top_k >= 0, "top_k: it must be at least 0");
    check(asked.top_p > 0 && asked.top_p <= 1, "top_p: it must be above 0 and at most 1");
    check(asked.seed < uint64_t{1} << 63, "seed: it must be below 2^63");
    return {asked.temperature, asked.top_k, asked.top_p};
}

std::string stop_of(const char* stop) {
    std::string normalized;
    const auto add = [&](uint32_t code) { append_utf8(normalized, code); };
    if (!decode_normalized(stop ? stop : "", add)) throw BadText("stop: it is no UTF-8");
    check(!stop || !normalized.empty(), "stop: it must have at least one character, or be NULL");
    return normalized;
}

// What stands before the numbers of a state.
struct StateHeader {
    char kind[16];
    char digest[64];  // of the model
    int64_t drawn;
    int64_t last;
};
constexpr char KIND[16] = "charloom state";

size_t state_size(const Reader& reader) {
    return sizeof(StateHeader) + 2 * reader.state_numbers * sizeof(float);
}

void get_state(const Reader& reader, char* to) {
    const Place& place = reader.place;
    StateHeader header{};
    std::memcpy(header.kind, KIND, sizeof KIND);
    std::memcpy(header.digest, reader.digest.data(), sizeof header.digest);
    header.drawn = place.drawn;
    header.last = place.last;
    std::memcpy(to, &header, sizeof header);
    to += sizeof header;
    for (const auto* part : {&place.hidden, &place.cell}) {
        std::memcpy(to, part->data(), part->size() * sizeof(float));
        to += part->size() * sizeof(float);
    }
}

void set_state(Reader& reader, const char* from) {
    StateHeader header;
    std::memcpy(&header, from, sizeof header);
    from += sizeof header;
    check(std::memcmp(header.kind, KIND, sizeof KIND) == 0, "state: it is none");
    check(std::memcmp(header.digest, reader.digest.data(), sizeof header.digest) == 0,
          "state: it is of another model");
    check(header.drawn >= 0 && header.last >= -1 && header.last < reader.vocabulary.size(),
          "state: it is damaged");
    Place place = reader.place;
    place.drawn = header.drawn;
    place.last = static_cast<int32_t>(header.last);
    for (auto* part : {&place.hidden, &place.cell}) {
        std::memcpy(part->data(), from, part->size() * sizeof(float));
        from += part->size() * sizeof(float);
        for (const float x : *part) check(std::isfinite(x), "state: it is damaged");
    }
    reader.place = std::move(place);
}

}  // namespace
}  // namespace charloom

using namespace charloom;

extern "C" {

const char* charloom_error(void) { return message; }

charloom_code charloom_load(const char* path, const charloom_options* options,
                            charloom_model** model) {
    return guarded([&] {
        check(path && model, "path or model: NULL was given");
        const charloom_options defaults = CHARLOOM_OPTIONS;
        *model = open(bytes_of(path), std::string(path) + ":", options ? *options : defaults);
    });
}

charloom_code charloom_load_memory(const void* file, size_t bytes, const charloom_options* options,
                                   charloom_model** model) {
    return guarded([&] {
        check(file && model, "file or model: NULL was given");
        const charloom_options defaults = CHARLOOM_OPTIONS;
        *model = open({static_cast<const char*>(file), bytes}, "the model",
                      options ? *options : defaults);
    });
}

void charloom_free(charloom_model* model) { delete model; }

int32_t charloom_vocabulary_size(const charloom_model* model) {
    return model ? model->reader.vocabulary.size() : 0;
}

int charloom_wants_nfc(const charloom_model* model) { return model && model->reader.wants_nfc; }

charloom_code charloom_reset(charloom_model* model) {
    return with(model, [](Reader& reader) { reader.reset(); });
}

charloom_code charloom_read(charloom_model* model, const char* text, size_t bytes) {
    return with(model, [&](Reader& reader) { reader.read(text_of(text, bytes)); });
}

charloom_code charloom_read_ids(charloom_model* model, const int32_t* ids, size_t count) {
    return with(model, [&](Reader& reader) {
        check(ids || !count, "ids: NULL was given");
        const std::vector<int32_t> copy(ids, ids + count);
        for (const int32_t id : copy)
            check(id >= 0 && id < reader.vocabulary.size(), "ids: one is outside the vocabulary");
        reader.read(copy);
    });
}

charloom_code charloom_generate(charloom_model* model, size_t length,
                                const charloom_sampling* sampling, charloom_piece piece,
                                void* user) {
    return with(model, [&](Reader& reader) {
        check(piece, "piece: NULL was given");
        const charloom_sampling defaults = CHARLOOM_SAMPLING;
        const charloom_sampling& asked = sampling ? *sampling : defaults;
        reader.generate(length, checked(asked), asked.seed,
                        stop_of(asked.stop), [&](const std::string& text) {
                            return piece(text.c_str(), text.size(), user) == 0;
                        });
    });
}

charloom_code charloom_score(charloom_model* model, const char* text, size_t bytes,
                             charloom_total* total, double* nats) {
    return with(model, [&](Reader& reader) {
        check(total, "total: NULL was given");
        const Total found = reader.score(text_of(text, bytes), nats);
        *total = {found.nats, found.characters, found.unknown};
    });
}

charloom_code charloom_next(charloom_model* model, float* log_probabilities) {
    return with(model, [&](Reader& reader) {
        check(log_probabilities, "log_probabilities: NULL was given");
        reader.next(log_probabilities);
    });
}

size_t charloom_state_size(const charloom_model* model) {
    return model ? state_size(model->reader) : 0;
}

charloom_code charloom_get_state(charloom_model* model, void* state, size_t bytes) {
    return with(model, [&](Reader& reader) {
        check(state && bytes == state_size(reader),
              "bytes: it must be charloom_state_size, at an address that is not NULL");
        get_state(reader, static_cast<char*>(state));
    });
}

charloom_code charloom_set_state(charloom_model* model, const void* state, size_t bytes) {
    return with(model, [&](Reader& reader) {
        check(state && bytes == state_size(reader),
              "bytes: it must be charloom_state_size, at an address that is not NULL");
        set_state(reader, static_cast<const char*>(state));
    });
}

}  // extern "C"
