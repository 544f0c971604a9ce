// What a network is from outside, the same for every instruction set and precision.
//
// All arrays are C-contiguous. T, B, V, H, L as in core/contract.py; ids are int32, a
// target below zero is not counted.
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include "support/threads.h"

namespace charloom {

struct Shape {
    bool lstm;
    int vocabulary;
    int embedding;  // 0: one-hot
    int hidden;
    int layers;
};

struct StepSettings {
    double learning_rate, beta1, beta2, epsilon, clip_norm, dropout;
    uint32_t dropout_key;
};

struct StepResult {
    double nats;
    long characters;
    double gradient_norm;
    bool updated;
};

struct Sampling {
    double temperature;
    int top_k;
    double top_p;
    std::vector<int32_t> forbidden;
};

enum class Kind { weight, mean, mean_square };

// State arrays are (L, B, H), read and then overwritten with the state after the call.
struct StatePointers {
    float* hidden;
    float* cell;
};

class Network {
public:
    virtual ~Network() = default;

    // The tensor of that number, in the order of weight_shapes in core/contract.py.
    virtual void read(int tensor, Kind kind, float* to) = 0;
    virtual void write(int tensor, Kind kind, const float* from) = 0;

    virtual StepResult train_step(int T, int B, const int32_t* inputs, const int32_t* targets,
                                  StatePointers state, const StepSettings& settings,
                                  long step) = 0;
    virtual void logits(int T, int B, const int32_t* inputs, StatePointers state,
                        float* logits) = 0;
    virtual void surprise(int T, int B, const int32_t* inputs, const int32_t* targets,
                          StatePointers state, float* nats, int32_t* ranks) = 0;
    // `quantities` is (Q, L, T, B, H): i_t, f_t, g_t, o_t, C_t, h_t, or an RNN's h_t alone.
    virtual void trace(int T, int B, const int32_t* inputs, StatePointers state,
                       float* quantities, float* logits) = 0;
    virtual void generate(int B, const int32_t* last, StatePointers state, int length,
                          const Sampling& sampling, const uint64_t* seeds, long start,
                          int32_t* ids) = 0;
};

// What products are computed in. With int8 that is float32, but for writing text.
enum class Precision { float32, bfloat16, int8 };

// One factory per instruction set, each in its own object file.
using Factory = std::unique_ptr<Network> (*)(const Shape&, Precision, int threads);

// A piece of memory that starts at a cache line; its content is lost when it grows.
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

    // At least this many elements; new ones are zero.
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
