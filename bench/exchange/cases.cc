// SPDX-License-Identifier: Apache-2.0
#include "bench/exchange/cases.h"

namespace varlstm::bench {
namespace {

constexpr unsigned kThreads = 256;
constexpr unsigned kSlots[] = {8, 16, 32};

Exchange step_exchange(Mechanism mechanism, unsigned team, unsigned teams, unsigned hidden, unsigned slots) {
  return {mechanism,       team,   teams, kThreads, units_of_step(mechanism, team, hidden, slots),
          kOneBlockShared, hidden, slots};
}

Exchange bare_exchange(Mechanism mechanism, unsigned team, unsigned teams, unsigned units) {
  return {mechanism, team, teams, kThreads, units, kOneBlockShared};
}

// A team alone, and as many as run at once.
void add_clusters(std::vector<Exchange>& list, unsigned size, unsigned resident) {
  std::vector<unsigned> counts{1};
  if (resident > 1) counts.push_back(resident);
  for (unsigned teams : counts) {
    list.push_back(bare_exchange(Mechanism::kClusterBarrier, size, teams, 0));
    list.push_back(bare_exchange(Mechanism::kClusterPush, size, teams, 1));
    for (unsigned hidden : {128u, 256u, 512u})
      for (unsigned slots : kSlots)
        for (Mechanism mechanism : {Mechanism::kClusterBarrier, Mechanism::kClusterPush})
          list.push_back(step_exchange(mechanism, size, teams, hidden, slots));
  }
}

void add_grids(std::vector<Exchange>& list, unsigned team, unsigned most) {
  std::vector<unsigned> counts{1};
  if (most > 1) counts.push_back(most);
  for (unsigned teams : counts) {
    list.push_back(bare_exchange(Mechanism::kGridBarrier, team, teams, 0));
    for (unsigned hidden : {512u, 1024u})
      for (unsigned slots : kSlots)
        for (Mechanism mechanism : {Mechanism::kGridBarrier, Mechanism::kGlobalFlags, Mechanism::kGlobalTags})
          list.push_back(step_exchange(mechanism, team, teams, hidden, slots));
  }
}

}  // namespace

unsigned units_of_step(Mechanism mechanism, unsigned team, unsigned hidden, unsigned slots) {
  const unsigned bytes = hidden * slots * 2;
  const unsigned of_block = (bytes + team - 1) / team;
  return (of_block + payload_bytes(mechanism) - 1) / payload_bytes(mechanism);
}

std::vector<Exchange> measured_exchanges(unsigned multiprocessors,
                                         const std::function<unsigned(unsigned size)>& resident_clusters) {
  std::vector<Exchange> list;
  for (unsigned size : {2u, 4u, 8u, 16u}) {
    const unsigned resident = resident_clusters(size);
    if (resident != 0) add_clusters(list, size, resident);
  }
  // The round trip between two blocks, with one unit.
  for (Mechanism mechanism : {Mechanism::kGlobalFlags, Mechanism::kGlobalTags})
    list.push_back(bare_exchange(mechanism, 2, 1, 1));
  // One to four teams that split the batch among all multiprocessors: of 33 to 132 blocks where there are 132.
  for (unsigned count : {4u, 3u, 2u, 1u})
    if (multiprocessors / count > 1) add_grids(list, multiprocessors / count, count);
  return list;
}

std::vector<Exchange> small_exchanges() {
  constexpr unsigned kFewThreads = 64;
  std::vector<Exchange> list;
  const auto add = [&](Mechanism mechanism, unsigned team, unsigned teams, unsigned units) {
    list.push_back({mechanism, team, teams, kFewThreads, units, 0});
  };
  for (Mechanism mechanism : {Mechanism::kClusterBarrier, Mechanism::kClusterPush})
    for (unsigned team : {2u, 4u, 8u, 16u}) {
      add(mechanism, team, 1, 5);
      add(mechanism, team, 2, 1);
    }
  // 66 units are more than the threads of a block, 2 * 300 more than these load at once.
  for (Mechanism mechanism :
       {Mechanism::kClusterPush, Mechanism::kGridBarrier, Mechanism::kGlobalFlags, Mechanism::kGlobalTags}) {
    add(mechanism, 2, 2, 66);
    add(mechanism, 2, 1, 300);
  }
  for (Mechanism mechanism : {Mechanism::kGridBarrier, Mechanism::kGlobalFlags, Mechanism::kGlobalTags}) {
    add(mechanism, 2, 1, 1);
    add(mechanism, 5, 3, 3);
    add(mechanism, 33, 1, 4);
  }
  add(Mechanism::kClusterBarrier, 4, 2, 0);
  add(Mechanism::kGridBarrier, 6, 1, 0);
  return list;
}

const char* name_of(Mechanism mechanism) {
  switch (mechanism) {
    case Mechanism::kClusterBarrier:
      return "cluster barrier";
    case Mechanism::kClusterPush:
      return "cluster push";
    case Mechanism::kGridBarrier:
      return "grid barrier";
    case Mechanism::kGlobalFlags:
      return "L2 flags";
    case Mechanism::kGlobalTags:
      return "L2 tags";
  }
  return "";
}

}  // namespace varlstm::bench
