// Memory that starts at a cache line, grows, and stays for the next call.
#pragma once

#include <cstddef>
#include <new>

namespace charloom {

template <class T>
class Buffer {
public:
    Buffer() = default;
    explicit Buffer(size_t size) { need(size); }
    ~Buffer() { ::operator delete(data_, std::align_val_t{64}); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    Buffer(Buffer&& other) noexcept : data_(other.data_), size_(other.size_) {
        other.data_ = nullptr;
        other.size_ = 0;
    }

    // At least this many elements. Where it has to grow, all of them are zero afterwards.
    void need(size_t size) {
        if (size <= size_) return;
        ::operator delete(data_, std::align_val_t{64});
        data_ = nullptr;
        size_ = 0;
        data_ = static_cast<T*>(::operator new(size * sizeof(T), std::align_val_t{64}));
        size_ = size;
        for (size_t i = 0; i < size; ++i) data_[i] = T{};
    }
    T* data() { return data_; }
    const T* data() const { return data_; }
    size_t size() const { return size_; }
    T& operator[](size_t i) { return data_[i]; }
    const T& operator[](size_t i) const { return data_[i]; }

private:
    T* data_ = nullptr;
    size_t size_ = 0;
};

}  // namespace charloom
