#pragma once

namespace charloom {

// Seconds for a cache line to another core and back, the best of so many seconds.
double round_trip(double seconds);

}  // namespace charloom
