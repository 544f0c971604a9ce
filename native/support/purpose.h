// What this is compiled for: all there is, or the library for C (native/interface/), which reads and
// generates one stream at a time and is to be small.
#pragma once

#include <stdexcept>

namespace charloom {

// What is asked of a library that is compiled without it; a page's core has no exceptions, and traps.
[[noreturn]] inline void left_out([[maybe_unused]] const char* what) {
#if defined(__cpp_exceptions)
    throw std::logic_error(what);
#else
    __builtin_trap();
#endif
}

#if defined(CHARLOOM_READS_ONLY)
constexpr bool TRAINS = false;
#else
constexpr bool TRAINS = true;
#endif

}  // namespace charloom
