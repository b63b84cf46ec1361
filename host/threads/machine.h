// How many threads a call uses that does not say so.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace varlstm::host {

// The first number of a list such as OMP_NUM_THREADS has, "4,2"; 0 if it has none.
int threads_of_list(const char* text);

// The cores that a cgroup's quota "MICROSECONDS PERIOD" of processor time amounts to, rounded up; 0 if there is no
// quota ("max 100000", "-1 100000").
int cores_of_quota(const char* text);

// How many cores this process may use: those of its affinity mask, fewer if its cgroup has a quota of processor time.
int usable_cores();

// OMP_NUM_THREADS, else usable_cores().
int default_threads();

}  // namespace varlstm::host
