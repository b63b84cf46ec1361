// Makes the host back end work in a process that was forked.
//
// A thread that has run a parallel region keeps its team: threads that wait to be used again. A child of fork()
// inherits the team's description and none of its threads, and would wait for them for ever in its first region. So the
// forking thread lets its team go before the fork; parent and child each start a new one when they need it. Inside a
// region, where a team cannot go, the child's regions are nested in it and run on one thread.
// SPDX-License-Identifier: Apache-2.0
#include <omp.h>
#include <pthread.h>

namespace varlstm::host {
namespace {

void release_team() {
  omp_pause_resource_all(omp_pause_soft);
}

// From when the library is loaded: the team may be older than the first context, and another library's.
[[gnu::constructor]] void release_team_before_forks() {
  pthread_atfork(release_team, nullptr, nullptr);
}

}  // namespace
}  // namespace varlstm::host
