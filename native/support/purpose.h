// What this is compiled for: all there is, or the library for C (native/interface/), which reads and
// generates one stream at a time and is to be small.
#pragma once

namespace charloom {

#if defined(CHARLOOM_READS_ONLY)
constexpr bool TRAINS = false;
#else
constexpr bool TRAINS = true;
#endif

}  // namespace charloom
