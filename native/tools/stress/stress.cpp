// Every kernel set through odd shapes and hard weights, and what must hold all the same.
//
// A program without Python, to be built with a sanitizer (`make sanitize`), which sees what
// a test cannot: a read past an end, two threads at one place. What it sees is what runs, so
// this runs everything that network.h offers; and it checks that
//
//     any number of threads computes the same bits         two engines at once, too
//     two halves, in time or of the streams, are the whole
//     what is finite stays finite; what is not is never learned from
//     all kernel sets agree, as closely as their precision lets them
//     the baseline computes the same bits on every machine
//
// It prints a line for each thing that does not hold, and is then no success.
#include <cstdlib>
#include <map>
#include <thread>

#include "tools/stress/drive.h"

namespace charloom {
namespace {

#if defined(__SANITIZE_THREAD__)
constexpr bool THREADS_ONLY = true;  // it is slow, and what one thread does is not its subject
#else
constexpr bool THREADS_ONLY = false;
#endif

float ordinary(size_t n) { return static_cast<float>(0.8 * uniform(5, n) - 0.4); }

Shape shape_of(const Case& c) {
    return {c.vocabulary, c.embedding, c.hidden, c.layers};
}

// Of all that the baseline computes here, on every machine. Archives (compress) are read by it: if
// another number is right, archives of before cannot be read, and need to say so.
constexpr uint64_t BASELINE = 0xe6eb45cbb79fab60;

// FNV-1a (Fowler, Noll and Vo), 64 bits.
struct Digest {
    uint64_t value = 0xcbf29ce484222325;
    void add(const std::string& bytes) {
        for (unsigned char byte : bytes) value = (value ^ byte) * 0x100000001b3;
    }
};

// Ordinary weights: a number of threads, then others, must agree to the bit; kernels nearly.
void run_cases(const Variant& variant, std::map<std::string, double>& nats, Digest& digest) {
    const int others[] = {2, 3, 4, 5, 8};
    const std::string at = where;
    int number = 0;
    for (const Case& c : CASES) {
        const std::string name = variant.cell + " case " + std::to_string(number);
        where = at + " " + name;
        const Batch batch(c);
        auto drive_with = [&](int threads, bool halves) {
            Subject subject(variant, shape_of(c), threads);
            subject.fill(ordinary);
            if (halves) check_halves(subject, c, batch);
            return drive(subject, c, batch, true);
        };
        const int several = others[number % 5];
        const Record one = drive_with(THREADS_ONLY ? several : 1, !THREADS_ONLY);
        for (int more : {0, 2}) {
            if (THREADS_ONLY) break;  // whatever it computes
            check(drive_with(others[(number + more) % 5], more == 0).bytes == one.bytes,
                  "the number of threads changes the result");
        }
        digest.add(one.bytes);
        ++number;
        const auto [known, is_first] = nats.try_emplace(name, one.nats);
        const double rounding = variant.precision == "bfloat16" ? 2e-2 : 1e-5;
        const double tolerance = rounding * (1 + std::abs(known->second));
        check(is_first || std::abs(one.nats - known->second) < tolerance,
              "kernels disagree with the first ones");
    }
    where = at;
}

// Weights that no training should make, but a file may hold.
void run_hard_weights(const Variant& variant) {
    constexpr float INF = std::numeric_limits<float>::infinity();
    constexpr float NAN_ = std::numeric_limits<float>::quiet_NaN();
    constexpr float MOST = std::numeric_limits<float>::max();
    struct Hard {
        const char* name;
        bool sound;
        float (*value)(size_t n);
    };
    const Hard all[] = {
        {"zeros", true, [](size_t) { return 0.0f; }},
        {"denormal", true, [](size_t n) { return ordinary(n) * 1e-39f; }},
        {"large", true, [](size_t n) { return ordinary(n) * 1e4f; }},
        {"huge", false, [](size_t n) { return n % 2 ? MOST : -MOST; }},
        {"huge, one sign", false, [](size_t) { return MOST; }},
        {"one NaN", false, [](size_t n) { return n == 40 ? NAN_ : ordinary(n); }},
        {"all NaN", false, [](size_t) { return NAN_; }},
        {"some NaN", false, [](size_t n) { return n % 7 ? ordinary(n) : NAN_; }},
        {"infinite", false, [](size_t n) { return n % 5 ? ordinary(n) : n % 2 ? INF : -INF; }},
    };
    const std::string at = where;
    const Case c{40, 0, 17, 2, 3, 4, 0.2, Counted::some};
    Batch batch(c);
    for (const Hard& hard : all) {
        where = at + " " + variant.cell + ", " + hard.name;
        auto drive_with = [&](int threads) {
            Subject subject(variant, shape_of(c), threads);
            subject.fill(hard.value);
            return drive(subject, c, batch, hard.sound).bytes;
        };
        check(drive_with(1) == drive_with(3), "the number of threads changes the result");
    }
    where = at + " a state that is not finite";
    batch.start.hidden[1] = NAN_;
    batch.start.cell[2] = INF;
    Subject subject(variant, shape_of(c), 2);
    subject.fill(ordinary);
    drive(subject, c, batch, false);
    where = at;
}

// Engines come and go, some without having worked; two work at once.
void run_lives(const Variant& variant) {
    const Case c{27, 5, 21, 2, 6, 5, 0.1, Counted::all};
    const Batch batch(c);
    const Shape shape = shape_of(c);
    for (int n = 0; n < 30; ++n) {
        Subject subject(variant, shape, 1 + n % 5);
        State state = batch.start;
        if (n % 3) subject.logits(c.T, c.B, batch.inputs, state);
    }

    auto work = [&](int threads) {
        Subject subject(variant, shape, threads);
        subject.fill(ordinary);
        std::string bytes;
        for (int n = 0; n < 3; ++n) bytes += drive(subject, c, batch, true).bytes;
        return bytes;
    };
    const std::string alone = work(1);
    std::string first, second;
    std::thread a([&] { first = work(2); }), b([&] { second = work(3); });
    a.join();
    b.join();
    check(first == alone && second == alone, "two engines at once compute something else");
}

}  // namespace

int stress() {
    const auto available = available_kernels();
    std::string driven;
    std::map<std::string, double> nats;
    Digest baseline, others;
    for (const std::string& kernels : built_kernels()) {
        if (std::find(available.begin(), available.end(), kernels) == available.end()) {
            std::printf("stress: this processor cannot run %s\n", kernels.c_str());
            continue;
        }
        for (const std::string precision : {"float32", "bfloat16", "int8"}) {
            if (kernels == "amx") {
                if (precision != "bfloat16") continue;  // the next sets' again
            } else if (kernels != "avx512_bf16") {
                if (precision == "int8") continue;  // float32 again
                if (THREADS_ONLY && precision == "bfloat16") continue;  // emulated: not built
            }
            where = kernels + " " + precision;
            check(precision == "int8" || product_peak(kernels, precision, 2, 0.001) > 0,
                  "the product takes no time");
            for (const std::string& cell : cells()) {
                const Variant variant{kernels, precision, cell};
                run_cases(variant, nats, kernels == "baseline" ? baseline : others);
                if (!THREADS_ONLY) run_hard_weights(variant);
                run_lives(variant);
            }
        }
        driven += " " + kernels;
    }
    where = "baseline";
    check(THREADS_ONLY || baseline.value == BASELINE, "it computes other bits than elsewhere");
    std::printf("stress: of %ld checks %ld failed, on%s\n", checks.load(), failures.load(),
                driven.c_str());
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}

}  // namespace charloom

int main() { return charloom::stress(); }
