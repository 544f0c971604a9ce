// A few threads that share work, and sleep when there is none.
//
// `run` cuts work into as many parts as there are threads and returns when all are done.
// Each thread has a part of its own, run after run, so that what it wrote last time is still
// in its core's cache. One that is done takes what others have not begun: where a thread gets
// no core, the others do its part, so a machine with fewer free cores than threads slows down
// and does not stall. An idle thread looks for new work for some microseconds, then sleeps:
// between two runs no thread is busy.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace charloom {

#if defined(__wasm__)

// A page has one thread, which does all parts.
class Threads {
public:
    explicit Threads(int) {}
    int count() const { return 1; }
    void run(const std::function<void(int part)>& work) { work(0); }
};

#else

class Threads {
public:
    explicit Threads(int count);
    ~Threads();
    Threads(const Threads&) = delete;
    Threads& operator=(const Threads&) = delete;

    int count() const { return count_; }
    void run(const std::function<void(int part)>& work);

private:
    // The numbers of the last run in which it was taken, and in which it was done.
    struct alignas(64) Part {
        std::atomic<uint32_t> taken{0};
        std::atomic<uint32_t> done{0};
    };

    void start();
    void serve(int part);
    void take_parts(int own, uint32_t round);

    const int count_;
    long process_ = 0;  // threads do not survive a fork; the child starts its own
    std::vector<std::thread> others_;
    std::unique_ptr<Part[]> parts_;
    std::atomic<bool> stop_{false};
    alignas(64) std::atomic<uint32_t> round_{0};
    const std::function<void(int)>* work_ = nullptr;
};

#endif

}  // namespace charloom
