// What a cell gives to a network: its forward and backward step, compiled for one precision.
//
// A cell is a struct in a file of native/cells/ with
//
//     SUMS         sums of products of a unit
//     FUSED        whether the products are compiled together with the cell, so that its sums stay
//                  in registers: faster, but a third of all there is to compile
//     INPUT, RECURRENT, BIAS   for each group of H rows of those tensors, the sum it adds to
//     PAIRS        pairs of vectors on the tape for each vector of units
//     CARRY        what it hands from step to step besides h
//     QUANTITIES   what a trace shows of it, h the last
//     forward      from the sums of a tile's rows: the new carry, the tape if it is taped, and
//                  done(row, quantities) for each row
//     backward     from the gradient by h, and by the carry: that by the sums
//
// `carry` and `tape` are those of row 0, followed by the distance to the next row's.
#pragma once

#include <memory>

#include "network/backward.h"

namespace charloom::CHARLOOM_ISA {

template <class P>
struct CellSteps {
    using Forward = void (*)(const Pass<P>&, int l, int t, Range blocks, Range streams);
    CellInfo info;
    int tape;  // words of a stream and block
    Forward read, trace = nullptr, learn = nullptr;
    void (*backward)(const Pass<P>&, int l, int t, Range streams) = nullptr;

    Forward forward(Mode mode) const {
        return mode == Mode::learning ? learn : mode == Mode::tracing ? trace : read;
    }
};

template <class Cell>
CellInfo info_of(const char* name) {
    return {name,
            Cell::SUMS,
            {std::begin(Cell::INPUT), std::end(Cell::INPUT)},
            {std::begin(Cell::RECURRENT), std::end(Cell::RECURRENT)},
            {std::begin(Cell::BIAS), std::end(Cell::BIAS)},
            Cell::CARRY,
            Cell::QUANTITIES};
}

template <class P, class Cell>
CellSteps<P> steps_of(const char* name) {
    CellSteps<P> steps{info_of<Cell>(name), Cell::PAIRS * P::PAIR,
                       forward_step<P, Cell, Mode::reading>};
    if constexpr (TRAINS) {
        steps.trace = forward_step<P, Cell, Mode::tracing>;
        steps.learn = forward_step<P, Cell, Mode::learning>;
        steps.backward = backward_step<P, Cell>;
    }
    return steps;
}

// In network.cpp, which is compiled once for each precision.
template <class P>
std::unique_ptr<Network> make_network(const CellSteps<P>& cell, const Shape& shape, int threads);

}  // namespace charloom::CHARLOOM_ISA
