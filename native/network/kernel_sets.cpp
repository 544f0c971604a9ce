#include "network/kernel_sets.h"

#include <algorithm>
#include <stdexcept>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace charloom {

// networks.inc is written by CMake, a line for each of what it compiles, from the slowest set to
// the fastest:
//
//     PRODUCT(avx2, float32)    NETWORK(avx2, float32, lstm)    INT8_NETWORK(avx512_bf16, lstm)
#define PRODUCT(isa, precision)                                       \
    namespace isa {                                                   \
    double product_peak_##precision(int threads, double seconds);     \
    }
#define NETWORK(isa, precision, cell)                                                    \
    namespace isa {                                                                      \
    std::unique_ptr<Network> make_##cell##_##precision(const Shape& shape, int threads); \
    }
#define INT8_NETWORK(isa, cell)                                                   \
    namespace isa {                                                               \
    std::unique_ptr<Network> make_##cell##_int8(std::unique_ptr<Network> float32, \
                                                const Shape& shape, int threads); \
    }
#include "networks.inc"
#undef PRODUCT
#undef NETWORK
#undef INT8_NETWORK

namespace {

using Names = std::vector<std::string>;

struct Product {
    std::string kernels, precision;
    double (*peak)(int threads, double seconds);
};
struct Maker {
    std::string kernels, precision, cell;
    std::unique_ptr<Network> (*make)(const Shape& shape, int threads);
};
struct Int8Maker {
    std::string kernels, cell;
    std::unique_ptr<Network> (*make)(std::unique_ptr<Network> float32, const Shape& shape,
                                     int threads);
};

#define NETWORK(isa, precision, cell)
#define INT8_NETWORK(isa, cell)
#define PRODUCT(isa, precision) {#isa, #precision, isa::product_peak_##precision},
const std::vector<Product> PRODUCTS{
#include "networks.inc"
};
#undef PRODUCT
#define PRODUCT(isa, precision)
#undef NETWORK
#define NETWORK(isa, precision, cell) {#isa, #precision, #cell, isa::make_##cell##_##precision},
const std::vector<Maker> MAKERS{
#include "networks.inc"
};
#undef NETWORK
#define NETWORK(isa, precision, cell)
#undef INT8_NETWORK
#define INT8_NETWORK(isa, cell) {#isa, #cell, isa::make_##cell##_int8},
const std::vector<Int8Maker> INT8_MAKERS{
#include "networks.inc"
};

void add_new(Names& names, const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

#if defined(__x86_64__)
// Whether the processor has AMX for bfloat16, and the system lets this process use its registers:
// Linux asks for a request, once (its documentation, arch/x86/xstate).
bool has_amx() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    constexpr unsigned BF16 = 1u << 22, TILE = 1u << 24;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & BF16) || !(d & TILE)) return false;
#if defined(__linux__)
    constexpr long REQUEST = 0x1023, TILE_DATA = 18;
    return syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
#else
    return false;
#endif
}
#endif

bool runs_here(const std::string& kernels) {
    if (kernels == "baseline") return true;
#if defined(__aarch64__)
    if (kernels == "neon") return true;
#elif defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                        __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (kernels == "avx2") return avx2;
    if (kernels == "avx512") return avx512;
    const bool bf16 = avx512 && __builtin_cpu_supports("avx512bf16") &&
                      __builtin_cpu_supports("avx512vnni");
    if (kernels == "avx512_bf16") return bf16;
    if (kernels == "amx") {
        static const bool amx = bf16 && has_amx();
        return amx;
    }
#endif
    return false;
}

// The sets down from this one.
Names from(const std::string& kernels) {
    const Names all = built_kernels();
    const auto here = std::find(all.begin(), all.end(), kernels);
    if (here == all.end() || !runs_here(kernels))
        throw std::invalid_argument("no such kernels here: " + kernels);
    return {std::make_reverse_iterator(here + 1), all.rend()};
}

// What the fastest of these sets has to make `wanted`, or null.
template <class Makers, class F>
auto find(const Makers& makers, const Names& sets, F&& wanted) -> const typename Makers::value_type* {
    for (const auto& kernels : sets)
        for (const auto& maker : makers)
            if (maker.kernels == kernels && wanted(maker)) return &maker;
    return nullptr;
}

}  // namespace

Names built_kernels() {
    Names names;
    for (const auto& product : PRODUCTS) add_new(names, product.kernels);
    return names;
}

Names available_kernels() {
    Names names = built_kernels();
    names.erase(std::remove_if(names.begin(), names.end(),
                               [](const auto& name) { return !runs_here(name); }),
                names.end());
    std::reverse(names.begin(), names.end());
    return names;
}

Names cells() {
    Names names;
    for (const auto& maker : MAKERS) add_new(names, maker.cell);
    return names;
}

std::unique_ptr<Network> make_network(const std::string& kernels, const std::string& cell,
                                      const std::string& precision, const Shape& shape,
                                      int threads) {
    const Names sets = from(kernels);
    const bool int8 = precision == "int8";
    const auto* maker = find(MAKERS, sets, [&](const Maker& m) {
        return m.cell == cell && m.precision == (int8 ? "float32" : precision);
    });
    if (!maker) throw std::invalid_argument("no such network: " + cell + " in " + precision);
    auto network = maker->make(shape, threads);
    if (!int8) return network;
    const auto* rounded = find(INT8_MAKERS, sets, [&](const auto& m) { return m.cell == cell; });
    return rounded ? rounded->make(std::move(network), shape, threads) : std::move(network);
}

double product_peak(const std::string& kernels, const std::string& precision, int threads,
                    double seconds) {
    const auto* product = find(PRODUCTS, from(kernels),
                               [&](const auto& p) { return p.precision == precision; });
    if (!product) throw std::invalid_argument("no such product: " + precision);
    return product->peak(threads, seconds);
}

}  // namespace charloom
