// The last line of a cell's file, CHARLOOM_CELL(lstm, Lstm), defines the functions that make
// a network of it, such as make_lstm_float32.
//
// The file is compiled once for each instruction set and precision, CHARLOOM_PRECISION being
// float32 or bfloat16, or with CHARLOOM_INT8; CMake lists what comes of it in networks.inc.
#pragma once

#if defined(CHARLOOM_INT8)
#include "network/int8.h"

#define CHARLOOM_CELL(name, Cell)                                                        \
    namespace charloom::CHARLOOM_ISA {                                                   \
    std::unique_ptr<Network> make_##name##_int8(std::unique_ptr<Network> float32,        \
                                                const Shape& shape, int threads) {       \
        return std::make_unique<Int8Network<Cell>>(std::move(float32), shape, threads);  \
    }                                                                                    \
    }
#else
#include "network/cell_steps.h"

#define CHARLOOM_FACTORY(name, precision) make_##name##_##precision
#define CHARLOOM_NETWORK(name, Cell, precision)                                          \
    namespace charloom::CHARLOOM_ISA {                                                   \
    std::unique_ptr<Network> CHARLOOM_FACTORY(name, precision)(const Shape& shape,       \
                                                               int threads) {            \
        using P = precisions::precision;                                                 \
        return make_network<P>(steps_of<P, Cell>(#name), shape, threads);                \
    }                                                                                    \
    }
#define CHARLOOM_EXPANDED(name, Cell, precision) CHARLOOM_NETWORK(name, Cell, precision)
#define CHARLOOM_CELL(name, Cell) CHARLOOM_EXPANDED(name, Cell, CHARLOOM_PRECISION)
#endif
