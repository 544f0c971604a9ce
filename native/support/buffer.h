// Memory that starts at a cache line, grows, and stays for the next call.
#pragma once

#include <cstddef>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace charloom {

template <class T>
class Buffer {
public:
    Buffer() = default;
    explicit Buffer(size_t size) { need(size); }
    ~Buffer() { release(); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    Buffer(Buffer&& other) noexcept : data_(other.data_), size_(other.size_) {
        other.data_ = nullptr;
        other.size_ = 0;
    }

    // At least this many elements. Where it has to grow, all of them are zero afterwards.
    void need(size_t size) {
        if (size <= size_) return;
        release();
        data_ = nullptr;
        size_ = 0;
        data_ = static_cast<T*>(::operator new(size * sizeof(T), alignment(size)));
        size_ = size;
#if defined(__linux__)
        // One text reads all weights for every character: in pages of 4 KB, those of 512 units
        // are more than a processor keeps the addresses of. What cannot be had is no error.
        if (is_large(size)) madvise(data_, size * sizeof(T), MADV_HUGEPAGE);
#endif
        for (size_t i = 0; i < size; ++i) data_[i] = T{};
    }
    T* data() { return data_; }
    const T* data() const { return data_; }
    size_t size() const { return size_; }
    T& operator[](size_t i) { return data_[i]; }
    const T& operator[](size_t i) const { return data_[i]; }

private:
    static constexpr size_t LARGE_PAGE = 1 << 21;

#if defined(__linux__)
    static bool is_large(size_t size) { return size * sizeof(T) >= 2 * LARGE_PAGE; }
#else
    static bool is_large(size_t) { return false; }
#endif
    static std::align_val_t alignment(size_t size) {
        return std::align_val_t{is_large(size) ? LARGE_PAGE : 64};
    }
    void release() { ::operator delete(data_, alignment(size_)); }

    T* data_ = nullptr;
    size_t size_ = 0;
};

}  // namespace charloom
