// SHA-256 (FIPS 180-4), by which a model file shows that it is whole.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace charloom {

class Sha256 {
public:
    void add(const void* data, size_t bytes);
    std::string hexadecimal();  // of all that was added; nothing may be added afterwards

private:
    void compress();

    std::array<uint32_t, 8> hash_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    std::array<uint8_t, 64> block_{};
    size_t filled_ = 0;
    uint64_t total_ = 0;  // bytes
};

}  // namespace charloom
