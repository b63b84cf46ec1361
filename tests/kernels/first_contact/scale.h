// How large the first tests on a GPU are: the one table of their shapes and runs. Emulated, and for the tools that slow
// a GPU down, they are the same tests at sizes that take seconds.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "support/recurrence_way.h"

namespace varlstm_test {

enum MathIndex { kMathF32, kMathTf32, kMathBf16, kMathF16 };  // of kPrecisions

// A stack of layers in one launch.
struct HandoverSize {
  MathIndex math;
  int64_t hidden, layers;
  int runs;
};

// A layer that runs many times. slots: of the tile that it is to have. Short: T from 1 to short_steps, short_runs for
// all of them; then one long batch.
struct SoakSize {
  MathIndex math;
  int64_t hidden;
  int slots;
  bool bidirectional;
  int64_t short_steps, long_steps;
  int short_runs, long_runs;
};

struct Scale {
  const char* name;
  int64_t handover_steps;
  std::vector<HandoverSize> handovers;  // by cluster and by grid
  int handover_saves;                   // runs that compare all that forward saves
  int64_t tile_hidden, tile_steps;      // every tile up to that H
  std::vector<SoakSize> cluster_soaks, grid_soaks;
  int capture_replays;
  int64_t busy_grid_hidden, busy_steps;  // of a grid that takes most of the device
  uint64_t busy_ns, busy_short_ns;       // of one kernel; of each of many
  unsigned busy_blocks;                  // of those, for each multiprocessor
  int busy_rounds;
  std::vector<int64_t> bits_hidden;
  int64_t bits_steps;
};

// The smaller row also where VARLSTM_FIRST_CONTACT=small.
inline const Scale& scale() {
  static const Scale full = {"full",
                             2000,
                             {{kMathBf16, 128, 4, 500},
                              {kMathBf16, 256, 4, 100},
                              {kMathF16, 128, 4, 100},
                              {kMathTf32, 128, 4, 100},
                              {kMathF32, 128, 4, 100},
                              {kMathF32, 256, 4, 100}},
                             3,
                             2048,
                             3,
                             {{kMathBf16, 512, 8, false, 5, 4096, 1000, 1000},
                              {kMathBf16, 256, 16, false, 5, 4096, 1000, 500},
                              {kMathBf16, 512, 16, true, 5, 4096, 200, 100},
                              {kMathTf32, 256, 16, false, 5, 4096, 200, 100},
                              {kMathF32, 256, 16, false, 5, 4096, 200, 100}},
                             {{kMathBf16, 1024, 8, true, 2, 2000, 100, 100},
                              {kMathBf16, 2048, 8, true, 1, 2000, 30, 30},
                              {kMathF32, 1024, 8, true, 1, 2000, 30, 30}},
                             100,
                             2048,
                             500,
                             1000000000,
                             100000,
                             1000,
                             10,
                             {32, 64, 100, 128, 256},
                             50};
  static const Scale small = {"small",
                              3,
                              {{kMathBf16, 70, 2, 2}, {kMathF32, 24, 3, 2}},
                              1,
                              64,
                              2,
                              {{kMathBf16, 68, 8, false, 1, 3, 3, 1}, {kMathF32, 36, 8, true, 1, 2, 3, 1}},
                              {{kMathBf16, 20, 8, true, 1, 4, 3, 2}},
                              2,
                              20,
                              3,
                              1000,
                              100,
                              20,
                              2,
                              {20, 36},
                              3};
  const char* wish = std::getenv("VARLSTM_FIRST_CONTACT");
  return emulated() || (wish != nullptr && std::string(wish) == "small") ? small : full;
}

inline RecurrenceWay way_of(int32_t policy, MathIndex math) {
  return {policy, kPrecisions[math]};
}

}  // namespace varlstm_test
