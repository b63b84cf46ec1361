// How launches are emulated, and what was seen while they ran.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include <array>
#include <string>

namespace varlstm::simt {

// Which ready thread runs next: in order, the newest, any, or by random priorities that change at random points (PCT).
enum class Schedule { kFifo, kLifo, kRandom, kPct };

// How a matrix product accumulates: one rounding of the exact sum, a chain of fma, or as tensor cores do, which align
// what they add and cut what lies below.
enum class MmaRounding { kExact, kSequential, kTruncate };

// When asynchronous copies land: at once, when they are waited for, or either by chance.
enum class AsyncCompletion { kEarly, kLate, kRandom };

struct Options {
  Schedule schedule = Schedule::kFifo;
  uint64_t seed = 1;
  bool races = true;  // look for races in kernels compiled with -fsanitize=thread
  // What a GPU permits and the kernels of this project never do is a defect: lanes of a mask that have ended, a block's
  // barrier after threads have ended, and one barrier reached at two places of the program. And words of a vector may
  // be seen one by one, which the ISA permits and no GPU does. Off for others' kernels.
  bool strict = true;
  MmaRounding rounding = MmaRounding::kExact;
  AsyncCompletion async = AsyncCompletion::kRandom;
  unsigned resident_blocks = 132 * 2;  // the most that a cooperative launch may have
  // Few, so that grid-stride loops take more than one turn; and as many clusters of each size are resident at a time,
  // so that teams take one sequence after the other.
  unsigned multiprocessors = 2;
  // Not empty: the multiprocessors of each GPC (0: no more of them), in which a cluster has to find room. What is
  // resident at a time then follows from them, from the shared memory and from the threads of a block, as on a GPU;
  // resident_blocks and multiprocessors are not looked at.
  std::array<unsigned, 8> gpcs{};
};

// Such options with the size of an H100 SXM: 132 multiprocessors, in GPCs of which no two chips have the same. In these
// fit 66 clusters of 2 blocks that fill a multiprocessor each, 31 of 4, 15 of 8 and 7 of 16.
Options with_size_of_h100(Options options);

struct Statistics {
  uint64_t launches = 0;
  uint64_t threads = 0;
  uint64_t switches = 0;
  uint64_t barriers = 0;        // arrivals of threads, in any scope
  uint64_t block_barriers = 0;  // that a whole block came to
  uint64_t collectives = 0;     // arrivals of threads
  uint64_t matrix_products = 0;
  uint64_t matrix_loads = 0;
  uint64_t pushes = 0;        // stores by st.async
  uint64_t pushed_bytes = 0;  // likewise
  uint64_t instructions = 0;  // of PTX, of each thread; none where a kernel is code of the host
  uint64_t accesses = 0;      // looked at by the race detector
  // Of those accesses, atomic ones aside: how often a thread polls depends on the schedule. Pushes are among the
  // writes.
  uint64_t shared_bytes_read = 0;
  uint64_t shared_bytes_written = 0;
  uint64_t device_bytes_read = 0;
  uint64_t device_bytes_written = 0;
};

// The options of launches to come. At first from the environment: VARLSTM_EMULATOR_SCHEDULE is fifo, lifo, random:SEED
// or pct:SEED; VARLSTM_EMULATOR_RACES is 0 or 1; VARLSTM_EMULATOR_SIZE is small or h100;
// VARLSTM_EMULATOR_STATISTICS=1 prints the statistics at exit.
Options options();
unsigned multiprocessors(const Options& options);
void set_options(const Options& options);

Statistics statistics();

// The text of the last launch that had a defect; empty before one.
std::string last_report();

}  // namespace varlstm::simt
