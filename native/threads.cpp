#include "threads.h"

#include <unistd.h>

namespace charloom {

namespace {

// Look for a while, then sleep until it changes.
void wait_while(const std::atomic<uint32_t>& value, uint32_t old) {
    for (int look = 0; look < 2000; ++look) {
        if (value.load(std::memory_order_acquire) != old) return;
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
    value.wait(old, std::memory_order_acquire);
}

}  // namespace

Threads::Threads(int count) : count_(count < 1 ? 1 : count) {}

void Threads::start() {
    for (auto& thread : others_) thread.detach();  // those of the parent process
    others_.clear();
    process_ = getpid();
    for (int n = 1; n < count_; ++n) others_.emplace_back([this] { serve(); });
}

void Threads::serve() {
    for (;;) {
        const uint32_t seen = round_.load(std::memory_order_acquire);
        if (stop_) return;
        take_parts();
        wait_while(round_, seen);
    }
}

// A part is taken by moving `next_` on, which only succeeds while its run still goes on;
// and while a part is taken and not done, `work_` stays.
void Threads::take_parts() {
    for (;;) {
        uint64_t next = next_.load(std::memory_order_acquire);
        const auto part = static_cast<uint32_t>(next);
        if (part >= static_cast<uint32_t>(count_)) return;
        if (!next_.compare_exchange_weak(next, next + 1, std::memory_order_acq_rel)) continue;
        (*work_)(static_cast<int>(part));
        if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 == static_cast<uint32_t>(count_))
            done_.notify_all();
    }
}

void Threads::run(const std::function<void(int)>& work) {
    if (count_ == 1) return work(0);
    if (process_ != getpid()) {
        next_.store(static_cast<uint64_t>(count_));  // nothing to take while they start
        start();
    }
    work_ = &work;
    done_.store(0, std::memory_order_relaxed);
    const uint32_t round = round_.load(std::memory_order_relaxed) + 1;
    next_.store(static_cast<uint64_t>(round) << 32, std::memory_order_release);
    round_.store(round, std::memory_order_release);
    round_.notify_all();
    take_parts();
    for (;;) {
        const uint32_t done = done_.load(std::memory_order_acquire);
        if (done == static_cast<uint32_t>(count_)) return;
        wait_while(done_, done);
    }
}

Threads::~Threads() {
    if (process_ != getpid()) {
        for (auto& thread : others_) thread.detach();
        return;
    }
    stop_ = true;
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
    for (auto& thread : others_) thread.join();
}

}  // namespace charloom
