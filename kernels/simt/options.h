// How launches are emulated, and statistics of their runs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include <array>
#include <string>

namespace varlstm::simt {

// Which ready thread runs next: in order, the newest, any, or by random priorities that change at random points (PCT).
enum class Schedule { kFifo, kLifo, kRandom, kPct };

// How a matrix product accumulates: with one rounding of the exact sum, as a chain of fma, or like tensor cores, which
// align their addends and cut off the lower bits.
enum class MmaRounding { kExact, kSequential, kTruncate };

// When asynchronous copies complete: at once, when they are waited for, or either at random.
enum class AsyncCompletion { kEarly, kLate, kRandom };

struct Options {
  Schedule schedule = Schedule::kFifo;
  uint64_t seed = 1;
  bool races = true;  // look for races in kernels compiled with -fsanitize=thread
  // Reports as a defect what a GPU permits but this project's kernels never do: lanes of a mask that have ended, a
  // block's barrier after threads have ended, and one barrier reached at two places of the program. Words of a vector
  // may also be seen one by one, which the ISA permits but no GPU does. Off for kernels of others.
  bool strict = true;
  MmaRounding rounding = MmaRounding::kExact;
  AsyncCompletion async = AsyncCompletion::kRandom;
  unsigned resident_blocks = 132 * 2;  // the most blocks of a cooperative launch
  // Few, so that grid-stride loops take more than one iteration. As many clusters of each size are resident at a time,
  // so that a team works on several sequences one after the other.
  unsigned multiprocessors = 2;
  // If not empty: the multiprocessors of each GPC (0: no more GPCs). A cluster must fit in one GPC. What is resident
  // then follows from them, from the shared memory and from the threads of a block, as on a GPU; resident_blocks and
  // multiprocessors are ignored.
  std::array<unsigned, 8> gpcs{};
};

// Returns the options with the size of an H100 SXM: 132 multiprocessors, in GPCs whose sizes differ from chip to chip.
// If a block fills a multiprocessor, these hold 66 clusters of 2 blocks, 31 of 4, 15 of 8 and 7 of 16.
Options with_size_of_h100(Options options);

struct Statistics {
  uint64_t launches = 0;
  uint64_t threads = 0;
  uint64_t switches = 0;
  uint64_t barriers = 0;        // arrivals of threads, in any scope
  uint64_t block_barriers = 0;  // barriers of a whole block
  uint64_t collectives = 0;     // arrivals of threads
  uint64_t matrix_products = 0;
  uint64_t matrix_loads = 0;
  uint64_t pushes = 0;        // stores by st.async
  uint64_t pushed_bytes = 0;  // likewise
  uint64_t instructions = 0;  // of PTX, summed over threads; 0 if a kernel is code of the host
  uint64_t accesses = 0;      // checked by the race detector
  // The bytes of those accesses without atomic ones, because the number of polls depends on the schedule. Pushes are
  // among the writes.
  uint64_t shared_bytes_read = 0;
  uint64_t shared_bytes_written = 0;
  uint64_t device_bytes_read = 0;
  uint64_t device_bytes_written = 0;
};

// The options of later launches. At first they come from the environment: VARLSTM_EMULATOR_SCHEDULE is fifo, lifo,
// random:SEED or pct:SEED; VARLSTM_EMULATOR_RACES is 0 or 1; VARLSTM_EMULATOR_SIZE is small or h100;
// VARLSTM_EMULATOR_STATISTICS=1 prints the statistics at exit.
Options options();
unsigned multiprocessors(const Options& options);
void set_options(const Options& options);

Statistics statistics();

// Returns the text of the last launch that had a defect; empty before the first.
std::string last_report();

}  // namespace varlstm::simt
