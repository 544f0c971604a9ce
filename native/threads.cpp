#include "threads.h"

#include <unistd.h>

namespace charloom {

namespace {

// Look for a while, then sleep until it changes.
void wait_while(std::atomic<unsigned>& value, unsigned old) {
    for (int look = 0; look < 2000; ++look) {
        if (value.load(std::memory_order_acquire) != old) return;
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
    while (value.load(std::memory_order_acquire) == old) value.wait(old);
}

}  // namespace

Threads::Threads(int count) : count_(count < 1 ? 1 : count) {}

void Threads::start() {
    for (auto& thread : others_) thread.detach();  // those of the parent process
    others_.clear();
    process_ = getpid();
    arrived_ = 0;
    unsigned now = round_.load();
    for (int index = 1; index < count_; ++index)
        others_.emplace_back([this, index, now] { serve(index, now); });
}

void Threads::serve(int index, unsigned seen) {
    for (;;) {
        wait_while(round_, seen);
        ++seen;
        if (stop_) return;
        (*work_)(index);
        barrier();
    }
}

void Threads::run(const std::function<void(int)>& work) {
    if (count_ == 1) return work(0);
    if (process_ != getpid()) start();
    work_ = &work;
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
    work(0);
    barrier();
}

void Threads::barrier() {
    if (count_ == 1) return;
    unsigned open = opened_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) == count_ - 1) {
        arrived_.store(0, std::memory_order_relaxed);
        opened_.fetch_add(1, std::memory_order_release);
        opened_.notify_all();
    } else {
        wait_while(opened_, open);
    }
}

Threads::~Threads() {
    if (others_.empty()) return;
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
