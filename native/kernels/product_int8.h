// A product with weights of 8 bits, for generation: one stream reads all weights for each
// character, so that a quarter of the bytes is nearly a quarter of the time.
//
//     sum over k of a[k] w[k][n],   w[k][n] = scale[n] q[k][n],   q from -127 to 127
//
// Activations lie between -1 and 1 and have 16 bits, as two bytes: 32767 a + 32768 = 256 high +
// low, so
//
//     sum a q = (256 (sum high q - 128 sum q) + sum low q) / 32767
//
// in whole numbers, exact as long as K < 2^31 / (255 127). One instruction multiplies four
// bytes of `high` or `low` with four of q and adds them to an int32; so a word holds q of four
// k, and panels are those of product.h.
#pragma once

#include "kernels/packing.h"
#include "support/buffer.h"

namespace charloom::CHARLOOM_ISA {

// Adds four products of bytes to each lane.
INLINE Bits add_products(Bits sum, Bits unsigned_bytes, Bits signed_bytes) {
#if defined(__AVX512VNNI__)
    return (Bits)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)unsigned_bytes,
                                     (__m512i)signed_bytes);
#else
    for (int place = 0; place < 32; place += 8) {
        const Bits byte = signed_bytes >> place & 0xffu;
        sum += (unsigned_bytes >> place & 0xffu) * ((byte ^ 0x80u) - 0x80u);
    }
    return sum;
#endif
}
INLINE Vec to_float(Bits whole) {
    typedef int32_t Ints __attribute__((vector_size(LANES * 4), may_alias));
    return __builtin_convertvector((Ints)whole, Vec);
}

// Into a row of `size` activations: their high bytes, then their low ones.
INLINE void put_int16(uint8_t* row, int size, int column, Vec x) {
    typedef uint8_t Bytes __attribute__((vector_size(LANES)));
    const Vec scaled = clamp(x, 1.0f) * fill(32767.0f) + fill(32768.5f);
    const Bits whole = __builtin_convertvector(scaled, Bits);
    store_as(row + column, __builtin_convertvector(whole >> 8, Bytes));
    store_as(row + size + column, __builtin_convertvector(whole & 0xffu, Bytes));
}

class Int8Matrix {
public:
    // From a matrix with N columns, in these panels.
    void pack(Strips<const float> w, int N, const Panels& panels) {
        const int K = w.rows;
        steps_ = round_up(K, LANES) / 4;
        packed_.need(static_cast<size_t>(steps_) * N);
        scale_.need(N);
        sum_.need(N);
        for_panels(panels, [&](int first, auto width) {
            for (int c = 0; c < width * LANES; ++c) {
                const int n = first + c;
                const float* column = w.at(0, n / LANES) + n % LANES;
                float most = 0;
                for (int k = 0; k < K; ++k)
                    most = std::max(most, std::abs(column[k * LANES]));
                const float scale = most / 127;
                int sum = 0;
                for (int k = 0; k < K; ++k) {
                    const float value = column[k * LANES];
                    const int q = most > 0 ? static_cast<int>(std::lrint(value / scale)) : 0;
                    uint32_t& word = panel(first)[(k / 4 * width * LANES) + c];
                    const int place = k % 4 * 8;
                    word = (word & ~(0xffu << place)) | (static_cast<uint32_t>(q) & 0xff) << place;
                    sum += q;
                }
                scale_[n] = scale / 32767;
                sum_[n] = 128 * sum;
            }
        });
    }

    // The C `sums` += the row times the panel of C vectors that starts at `column`.
    template <int C>
    INLINE void multiply(const uint8_t* row, int column, Vec* sums) const {
        const uint32_t* words = panel(column);
        Bits high[C] = {}, low[C] = {};
        for (int k = 0; k < steps_; ++k, words += C * LANES) {
            const Bits a = Bfloat16::broadcast(load_as<uint32_t>(row + 4 * k));
            const Bits b = Bfloat16::broadcast(load_as<uint32_t>(row + 4 * (steps_ + k)));
            range<0, C>([&](int c) {
                const Bits q = load_as<Bits>(words + c * LANES);
                __builtin_prefetch(words + (AHEAD * C + c) * LANES);
                high[c] = add_products(high[c], a, q);
                low[c] = add_products(low[c], b, q);
            });
        }
        range<0, C>([&](int c) {
            const int n = column + c * LANES;
            const Vec whole = fma(to_float(high[c] - load_as<Bits>(&sum_[n])), fill(256.0f),
                                  to_float(low[c]));
            sums[c] = fma(whole, load(&scale_[n]), sums[c]);
        });
    }

private:
    uint32_t* panel(int column) { return &packed_[static_cast<size_t>(column) * steps_]; }
    const uint32_t* panel(int column) const {
        return &packed_[static_cast<size_t>(column) * steps_];
    }

    int steps_ = 0;  // of four k
    Buffer<uint32_t> packed_;
    Buffer<float> scale_;
    Buffer<int32_t> sum_;  // 128 times that of q
};

}  // namespace charloom::CHARLOOM_ISA
