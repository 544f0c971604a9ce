// How long a cache line takes to another core and back: the other yardstick of the benchmarks.
//
// Threads that share the work of a small network are bound by this, and it is no constant: two
// cores with a common last-level cache need a quarter of what two without one do, and a virtual
// machine may be moved from one kind of pair to the other while it runs.
#include "round_trip.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

namespace charloom {

double round_trip(double seconds) {
    using Clock = std::chrono::steady_clock;
    constexpr int TRIPS = 1000;
    alignas(64) std::atomic<int> ball{0};  // odd: there; even: back; negative: the game is over
    std::thread other([&] {
        for (int seen;;) {
            while ((seen = ball.load(std::memory_order_acquire)) % 2 == 0) {}
            if (seen < 0) return;
            ball.store(seen + 1, std::memory_order_release);
        }
    });
    double best = 0;
    const auto start = Clock::now();
    do {
        const auto before = Clock::now();
        ball.store(0, std::memory_order_relaxed);
        for (int trip = 0; trip < TRIPS; ++trip) {
            ball.store(2 * trip + 1, std::memory_order_release);
            while (ball.load(std::memory_order_acquire) != 2 * trip + 2) {}
        }
        const double took = std::chrono::duration<double>(Clock::now() - before).count() / TRIPS;
        best = best > 0 ? std::min(best, took) : took;
    } while (std::chrono::duration<double>(Clock::now() - start).count() < seconds);
    ball.store(-1, std::memory_order_release);
    other.join();
    return best;
}

}  // namespace charloom
