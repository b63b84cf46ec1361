// Threads of the host back end. The work is cut into pieces that do not depend on the number of threads, so results are
// bitwise equal for any number of threads.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <omp.h>
#include <stdint.h>

namespace varlstm::host {

// Below this many multiplications a second thread costs more than it saves.
inline constexpr int64_t kThreadedWork = 100'000;

// The number of threads for `pieces` independent pieces; `requested` 0 means as many as the machine has.
inline int thread_count(int64_t requested, int64_t pieces) {
  int64_t threads = requested > 0 ? requested : omp_get_num_procs();
  if (threads > pieces) threads = pieces;
  return threads < 1 ? 1 : static_cast<int>(threads);
}

// Calls body(k) once for each k < pieces, on at most `threads` threads. body must not throw.
template <class Body>
void parallel_for(int64_t threads, int64_t pieces, const Body& body) {
  const int used = thread_count(threads, pieces);
  if (used == 1) {
    for (int64_t k = 0; k < pieces; ++k) body(k);
    return;
  }
#pragma omp parallel for num_threads(used) schedule(dynamic, 1)
  for (int64_t k = 0; k < pieces; ++k) body(k);
}

// The same for pieces of equal size that write adjacent memory. Each thread gets consecutive pieces, so that two
// threads do not write to the same cache line at the same time.
template <class Body>
void parallel_for_neighbours(int64_t threads, int64_t pieces, const Body& body) {
  const int used = thread_count(threads, pieces);
  if (used == 1) return parallel_for(1, pieces, body);
#pragma omp parallel for num_threads(used) schedule(static)
  for (int64_t k = 0; k < pieces; ++k) body(k);
}

// Calls body(begin, end) for consecutive ranges of fixed size `grain` that cover [0, count).
template <class Body>
void parallel_ranges(int64_t threads, int64_t count, int64_t grain, const Body& body) {
  const int64_t pieces = (count + grain - 1) / grain;
  parallel_for(threads, pieces, [&](int64_t piece) {
    const int64_t begin = piece * grain;
    const int64_t end = begin + grain < count ? begin + grain : count;
    body(begin, end);
  });
}

}  // namespace varlstm::host
