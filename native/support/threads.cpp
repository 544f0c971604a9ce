#include "support/threads.h"

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

// The standard library wakes nobody where it sees nobody asleep. It must not look before the new
// number can be seen, or one that falls asleep just then is never woken; `release` allows that.
void announce(std::atomic<uint32_t>& value, uint32_t now) {
    value.store(now, std::memory_order_seq_cst);
    value.notify_all();
}

}  // namespace

Threads::Threads(int count)
    : count_(count < 1 ? 1 : count), parts_(std::make_unique<Part[]>(count_)) {}

void Threads::start() {
    for (auto& thread : others_) thread.detach();  // those of the parent process
    others_.clear();
    process_ = getpid();
    const uint32_t round = round_.load(std::memory_order_relaxed);
    for (int n = 0; n < count_; ++n) {  // the parent may have forked in the middle of a run
        parts_[n].taken.store(round, std::memory_order_relaxed);
        parts_[n].done.store(round, std::memory_order_relaxed);
    }
    for (int n = 1; n < count_; ++n) others_.emplace_back([this, n] { serve(n); });
}

void Threads::serve(int part) {
    for (uint32_t seen = 0;;) {
        const uint32_t round = round_.load(std::memory_order_acquire);
        if (stop_) return;
        if (round == seen)
            wait_while(round_, seen);
        else
            take_parts(part, seen = round);
    }
}

// A part is taken by moving its number on from the run before, which succeeds for one thread
// only and not after that run; and while a part is taken and not done, `work_` stays.
void Threads::take_parts(int own, uint32_t round) {
    for (int n = 0; n < count_; ++n) {
        Part& part = parts_[(own + n) % count_];
        uint32_t before = round - 1;
        if (part.taken.load(std::memory_order_relaxed) != before ||
            !part.taken.compare_exchange_strong(before, round, std::memory_order_acq_rel))
            continue;
        (*work_)((own + n) % count_);
        announce(part.done, round);
    }
}

void Threads::run(const std::function<void(int)>& work) {
    if (count_ == 1) return work(0);
    if (process_ != getpid()) start();
    work_ = &work;
    const uint32_t round = round_.load(std::memory_order_relaxed) + 1;
    announce(round_, round);
    take_parts(0, round);
    for (int n = 0; n < count_; ++n)
        while (parts_[n].done.load(std::memory_order_acquire) != round)
            wait_while(parts_[n].done, round - 1);
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
