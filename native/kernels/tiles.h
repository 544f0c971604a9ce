// Products in the tile registers of AMX, which Intel's servers have from Sapphire Rapids on.
//
// A tile register has 16 rows of 64 bytes. One instruction multiplies two of them: 16 rows of A, each
// of 16 words along the sum, and 16 steps of B, each a vector of columns. That is how rows lie in
// memory anyway, and how panels are packed (product.h), so both are loaded as they are. The sums stay
// in the same few registers until all words are done, whatever the number of rows, so the order of
// additions is the same for every tile, and with it for every number of threads.
#pragma once

#if defined(__AMX_BF16__)
#include <immintrin.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace charloom::CHARLOOM_ISA {

constexpr bool TILES = true;
constexpr int TILE_STEPS = 16;  // words along the sum, in one instruction

// What a thread's eight registers hold: sums of so many rows in 0 and 1, and in 2 and 3; A and B in
// 4 and 5; in 6 and 7 A and B again, of `rest` steps where the end of a sum does not fill a tile.
struct TileShapes {
    int rows, more_rows, rest;
    bool operator==(const TileShapes& other) const {
        return rows == other.rows && more_rows == other.more_rows && rest == other.rest;
    }
};

inline TileShapes& tiles_of_thread() {
    thread_local TileShapes shapes{};
    return shapes;
}

inline void use_tiles(const TileShapes& shapes) {
    struct alignas(64) Configuration {
        uint8_t palette = 1, start_row = 0, reserved[14] = {};
        uint16_t bytes[16] = {};
        uint8_t rows[16] = {};
    };
    if (tiles_of_thread() == shapes) return;
    tiles_of_thread() = shapes;
    Configuration configuration;
    auto shape = [&](int tile, int rows, int words) {
        configuration.rows[tile] = static_cast<uint8_t>(rows);
        configuration.bytes[tile] = static_cast<uint16_t>(4 * words);
    };
    for (int tile = 0; tile < 4; ++tile) shape(tile, tile < 2 ? shapes.rows : shapes.more_rows, 16);
    shape(4, shapes.rows, 16);
    shape(5, 16, 16);
    shape(6, shapes.more_rows, shapes.rest);
    shape(7, shapes.rest, 16);
    asm volatile("" : : "r"(&configuration) : "memory");  // the compiler knows of 8 bytes only
    _tile_loadconfig(&configuration);
}

// To be called when a thread is done for now: the system saves registers that are in use.
inline void tiles_end() {
    tiles_of_thread() = {};
    _tile_release();
}

// Where sums lie: those of a row and a vector of columns are side by side.
struct Sums {
    float* first;
    ptrdiff_t next_row, next_column;  // in floats

    Sums from(int row, int column) const {
        return {first + row * next_row + column * next_column, next_row, next_column};
    }
};

// sums += A B, of at most 16 rows. A's rows are `next_a` words apart; B is a panel, WIDTH vectors
// wide.
template <int WIDTH>
[[gnu::noinline]] void add_tile(int rows, const uint32_t* a, ptrdiff_t next_a, const uint32_t* b,
                                int steps, const Sums& sums) {
    const int rest = steps % TILE_STEPS;
    use_tiles({rows, rows, rest ? rest : TILE_STEPS});
    const long a_bytes = 4 * next_a, sum_bytes = 4 * sums.next_row;
    constexpr long b_bytes = 64 * WIDTH;
    float* const columns[] = {sums.from(0, 0).first, sums.from(0, 1).first, sums.from(0, 2).first,
                              sums.from(0, 3).first};
    _tile_loadd(0, columns[0], sum_bytes);
    if (WIDTH > 1) _tile_loadd(1, columns[1], sum_bytes);
    if (WIDTH > 2) _tile_loadd(2, columns[2], sum_bytes);
    if (WIDTH > 3) _tile_loadd(3, columns[3], sum_bytes);
    // A macro, since the compiler writes the numbers of registers into its assembly: literals.
#define ADD_STEPS(A, B)                       \
    do {                                      \
        _tile_loadd(A, a, a_bytes);           \
        _tile_loadd(B, b, b_bytes);           \
        _tile_dpbf16ps(0, A, B);              \
        if (WIDTH > 1) {                      \
            _tile_loadd(B, b + 16, b_bytes);  \
            _tile_dpbf16ps(1, A, B);          \
        }                                     \
        if (WIDTH > 2) {                      \
            _tile_loadd(B, b + 32, b_bytes);  \
            _tile_dpbf16ps(2, A, B);          \
        }                                     \
        if (WIDTH > 3) {                      \
            _tile_loadd(B, b + 48, b_bytes);  \
            _tile_dpbf16ps(3, A, B);          \
        }                                     \
    } while (false)
    for (int k = TILE_STEPS; k <= steps; k += TILE_STEPS) {
        ADD_STEPS(4, 5);
        a += TILE_STEPS;
        b += TILE_STEPS * 16 * WIDTH;
    }
    if (rest) ADD_STEPS(6, 7);
#undef ADD_STEPS
    _tile_stored(0, columns[0], sum_bytes);
    if (WIDTH > 1) _tile_stored(1, columns[1], sum_bytes);
    if (WIDTH > 2) _tile_stored(2, columns[2], sum_bytes);
    if (WIDTH > 3) _tile_stored(3, columns[3], sum_bytes);
}

// The same for up to 32 rows in two halves and two vectors of columns, so that what is loaded of A
// and of B is used twice; `b_width` is that of the panel.
[[gnu::noinline]] inline void add_four_tiles(int rows, const uint32_t* a, ptrdiff_t next_a,
                                             const uint32_t* b, int b_width, int steps,
                                             const Sums& sums) {
    const int upper = (rows + 1) / 2;
    use_tiles({upper, rows - upper, TILE_STEPS});
    const uint32_t* lower_a = a + upper * next_a;
    float* const tiles[] = {sums.first, sums.from(0, 1).first, sums.from(upper, 0).first,
                            sums.from(upper, 1).first};
    const long a_bytes = 4 * next_a, b_bytes = 64 * b_width, sum_bytes = 4 * sums.next_row;
    _tile_loadd(0, tiles[0], sum_bytes);
    _tile_loadd(1, tiles[1], sum_bytes);
    _tile_loadd(2, tiles[2], sum_bytes);
    _tile_loadd(3, tiles[3], sum_bytes);
    for (int k = 0; k < steps; k += TILE_STEPS) {
        _tile_loadd(4, a, a_bytes);
        _tile_loadd(5, b, b_bytes);
        _tile_dpbf16ps(0, 4, 5);
        _tile_loadd(6, lower_a, a_bytes);
        _tile_dpbf16ps(2, 6, 5);
        _tile_loadd(7, b + 16, b_bytes);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(3, 6, 7);
        a += TILE_STEPS;
        lower_a += TILE_STEPS;
        b += TILE_STEPS * 16 * b_width;
    }
    _tile_stored(0, tiles[0], sum_bytes);
    _tile_stored(1, tiles[1], sum_bytes);
    _tile_stored(2, tiles[2], sum_bytes);
    _tile_stored(3, tiles[3], sum_bytes);
}

// The same for any number of rows and any width up to four vectors.
inline void add_tiles(int rows, int width, const uint32_t* a, ptrdiff_t next_a, const uint32_t* b,
                      int steps, Sums sums) {
    while (rows > 0) {
        const bool both = rows > 16 && width % 2 == 0 && steps % TILE_STEPS == 0;
        const int some = rows <= 16 ? rows : both ? std::min(rows, 32) : std::min(16, (rows + 1) / 2);
        if (both) {
            for (int c = 0; c < width; c += 2)
                add_four_tiles(some, a, next_a, b + 16 * c, width, steps, sums.from(0, c));
        } else if (width == 4) {
            add_tile<4>(some, a, next_a, b, steps, sums);
        } else if (width == 3) {
            add_tile<3>(some, a, next_a, b, steps, sums);
        } else if (width == 2) {
            add_tile<2>(some, a, next_a, b, steps, sums);
        } else {
            add_tile<1>(some, a, next_a, b, steps, sums);
        }
        rows -= some;
        a += some * next_a;
        sums = sums.from(some, 0);
    }
}

}  // namespace charloom::CHARLOOM_ISA

#else

namespace charloom::CHARLOOM_ISA {

constexpr bool TILES = false;
inline void tiles_end() {}

}  // namespace charloom::CHARLOOM_ISA

#endif
