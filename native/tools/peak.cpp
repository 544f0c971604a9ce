// How fast the product itself can be here: the yardstick of the benchmarks.
//
// The tile of product.h on operands that stay in the first-level cache, on every thread, with
// nothing around it. What a network reaches is given as a share of this.
#include <chrono>
#include <numeric>
#include <vector>

#include "kernels/product.h"
#include "support/buffer.h"
#include "support/threads.h"

namespace charloom::CHARLOOM_ISA {
namespace {

template <class P>
double measure(int threads, double seconds) {
    using Clock = std::chrono::steady_clock;
    constexpr int STEPS = 64, TILES = 4, REPEATS = 200, ROWS = tile_rows(PANEL);
    Threads team(threads);
    const double flops = 2.0 * ROWS * PANEL * LANES * STEPS * P::PER_WORD;
    std::vector<double> rate(threads, 0.0);
    team.run([&](int part) {
        Buffer<typename P::Word> a(TILES * ROWS * STEPS), b(PANEL * LANES * STEPS);
        Buffer<float> c(ROWS * PANEL * LANES);
        long done = 0;
        const auto start = Clock::now();
        double passed = 0;
        while (passed < seconds) {
            for (int repeat = 0; repeat < REPEATS; ++repeat)
                for (int tile = 0; tile < TILES; ++tile, ++done) {
                    const Term<P> term{a.data() + tile * ROWS * STEPS, STEPS, b.data(), STEPS};
                    multiply_tile<P>(ROWS, PANEL, {}, term, {}, nullptr, 0, nullptr, c.data(),
                                     PANEL * LANES);
                    asm volatile("" : : "r"(c.data()) : "memory");  // c is wanted each time
                }
            passed = std::chrono::duration<double>(Clock::now() - start).count();
        }
        rate[part] = static_cast<double>(done) * flops / passed;
    });
    return std::accumulate(rate.begin(), rate.end(), 0.0);
}

}  // namespace

// product_peak_float32 or product_peak_bfloat16
#define CHARLOOM_PEAK_OF(precision) product_peak_##precision
#define CHARLOOM_PEAK(precision) CHARLOOM_PEAK_OF(precision)
double CHARLOOM_PEAK(CHARLOOM_PRECISION)(int threads, double seconds) {
    return measure<precisions::CHARLOOM_PRECISION>(threads, seconds);
}

}  // namespace charloom::CHARLOOM_ISA
