// How long a cache line takes to another core and back: the other yardstick of the benchmarks.
//
// Threads that share the work of a small network are bound by this, and it is no constant: two
// cores with a common last-level cache need a quarter of what two without one do, and a virtual
// machine may be moved from one kind of pair to the other while it runs.
#include "tools/round_trip.h"

#if defined(__linux__)
#include <sched.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

namespace charloom {

namespace {

// Two threads that spin for each other on one core would measure its scheduler. Each thread is
// therefore bound to its own: the n-th that this process may use, while it lives.
class OnCore {
public:
    explicit OnCore([[maybe_unused]] int n) {
#if defined(__linux__)
        sched_getaffinity(0, sizeof before_, &before_);
        for (int core = 0; core < CPU_SETSIZE; ++core) {
            if (!CPU_ISSET(core, &before_) || n-- > 0) continue;
            cpu_set_t one;
            CPU_ZERO(&one);
            CPU_SET(core, &one);
            sched_setaffinity(0, sizeof one, &one);
            return;
        }
#endif
    }
    ~OnCore() {
#if defined(__linux__)
        sched_setaffinity(0, sizeof before_, &before_);
#endif
    }
    OnCore(const OnCore&) = delete;
    OnCore& operator=(const OnCore&) = delete;

private:
#if defined(__linux__)
    cpu_set_t before_;
#endif
};

}  // namespace

double round_trip(double seconds) {
    using Clock = std::chrono::steady_clock;
    constexpr int TRIPS = 1000;
    alignas(64) std::atomic<int> ball{0};  // odd: there; even: back; negative: the game is over
    std::thread other([&] {
        const OnCore second(1);
        for (int seen;;) {
            while ((seen = ball.load(std::memory_order_acquire)) % 2 == 0) {}
            if (seen < 0) return;
            ball.store(seen + 1, std::memory_order_release);
        }
    });
    const OnCore first(0);
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
