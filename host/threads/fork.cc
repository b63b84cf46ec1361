// Makes the host back end work in a process that was forked.
//
// A thread that has run an OpenMP parallel region keeps its team, which is a set of threads that wait for the next
// region. A child of fork() inherits the description of the team but none of its threads, so its first region would
// wait for them forever. Therefore the forking thread releases its team before the fork, and parent and child each
// start a new team when they need one. A team cannot be released inside a region; the child's regions are then nested
// in it and run on one thread.
// SPDX-License-Identifier: Apache-2.0
#include <omp.h>
#include <pthread.h>

namespace varlstm::host {
namespace {

void release_team() {
  omp_pause_resource_all(omp_pause_soft);
}

// This runs when the library is loaded, because the team may be older than the first context and may belong to another
// library.
[[gnu::constructor]] void release_team_before_forks() {
  pthread_atfork(release_team, nullptr, nullptr);
}

}  // namespace
}  // namespace varlstm::host
