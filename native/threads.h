// A few threads that wait politely.
//
// `run` has every thread, the caller among them, do the same work once, each with its own
// index; `barrier`, called by all of them inside it, holds each until the last has come. A
// thread that waits looks for some microseconds, then sleeps, so a machine with fewer free
// cores than threads slows down and does not stall; between two runs nothing runs.
#pragma once

#include <atomic>
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
    void run(const std::function<void(int)>& work);
    void barrier();

private:
    void start();
    void serve(int index, unsigned seen);

    const int count_;
    long process_ = 0;  // threads do not survive a fork; the child starts its own
    std::vector<std::thread> others_;
    const std::function<void(int)>* work_ = nullptr;
    bool stop_ = false;
    alignas(64) std::atomic<unsigned> round_{0};
    alignas(64) std::atomic<int> arrived_{0};
    alignas(64) std::atomic<unsigned> opened_{0};
};

}  // namespace charloom
