// A few threads that share work politely.
//
// `run` cuts work into as many parts as there are threads and returns when all are done.
// A part belongs to whoever takes it first: where a thread gets no core, the others do its
// part, so a machine with fewer free cores than threads slows down and does not stall. An
// idle thread looks for new work for some microseconds, then sleeps: between two runs
// nothing runs.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace charloom {

class Threads {
public:
    explicit Threads(int count);
    ~Threads();
    Threads(const Threads&) = delete;
    Threads& operator=(const Threads&) = delete;

    int count() const { return count_; }
    void run(const std::function<void(int part)>& work);

private:
    void start();
    void serve();
    void take_parts();

    const int count_;
    long process_ = 0;  // threads do not survive a fork; the child starts its own
    std::vector<std::thread> others_;
    const std::function<void(int)>* work_ = nullptr;
    std::atomic<bool> stop_{false};
    // The number of the run, and in the low half the next part that nobody has taken.
    alignas(64) std::atomic<uint64_t> next_{0};
    alignas(64) std::atomic<uint32_t> round_{0};
    alignas(64) std::atomic<uint32_t> done_{0};
};

}  // namespace charloom
