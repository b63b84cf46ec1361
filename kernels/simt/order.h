// Strong accesses and fences by the PTX ISA's memory consistency model: what they order, and which value a load sees.
// https://docs.nvidia.com/cuda/parallel-thread-execution/#memory-consistency-model
//
// A release pattern is a release, or a fence or a release of the same word before a strong store; an acquire pattern is
// an acquire, or a strong load before a fence or before an acquire of the same word. Where a load sees a store, or what
// atomics made of it, the patterns synchronise if each one's scope holds the other's thread.
//
// Nothing orders relaxed accesses of two words. Under the schedules random and pct a load may therefore see the value
// before the last one, as long as nothing shows that the last store came first: code that takes one relaxed word for
// the mark of another then computes with old values. An atomic reads the last value, as its atomicity demands. All of
// it only where races are looked for.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <string.h>

#include <map>
#include <utility>
#include <vector>

#include "kernels/simt/knowledge.h"
#include "kernels/simt/ordering.h"
#include "kernels/simt/race.h"
#include "kernels/simt/site.h"

namespace varlstm::simt {

// What was released, by the units of threads that may acquire it: keys of knowledge.h, each once.
using Released = std::vector<std::pair<uint64_t, Knowledge>>;

// What a thread has released and read, for patterns that are not complete.
struct OpenPatterns {
  struct ByScope {
    Knowledge known[kScopes];
  };
  ByScope fenced;                         // before its last fence of each scope or a wider one
  std::map<const void*, ByScope> stored;  // before its last release of each word
  std::map<const void*, Released> read;   // what strong loads of each word saw
  Knowledge fences;                       // what fence.sc of all threads released before its own
};

// Words of 1, 2, 4 or 8 bytes, which lie aligned; each says to the race detector what it does. A load yields before it
// reads, a store after it has written.
uint64_t load_strong(const void* from, unsigned bytes, Ordering ordering, Site site, uintptr_t pc);
void store_strong(void* to, uint64_t bits, unsigned bytes, Ordering ordering, Site site, uintptr_t pc);

// `count` neighbouring words, as a vector or a word of 16 bytes: each one is an access of its own. Under the schedules
// random and pct in any order, with other threads in between.
void load_pieces(const void* from, void* to, unsigned bytes, unsigned count, Ordering ordering, Site site,
                 uintptr_t pc);
void store_pieces(void* to, const void* from, unsigned bytes, unsigned count, Ordering ordering, Site site,
                  uintptr_t pc);

// An atomic has read `old` and is about to write `changed`; a reduction and a comparison that fails leave out a half.
struct Change {
  uint64_t old = 0;
  uint64_t changed = 0;
  bool reads = true;
  bool writes = true;
};
void order_change(void* address, unsigned bytes, const Change& change, Ordering ordering);
// It is written: where it changed nothing it may be a spin, and others run; else it is what others may wait for, above
// all if it releases.
void end_change(bool changed, Ordering ordering, Site site);

// An atomic on an aligned word: `operation(old, &changed)` says whether it writes. Gives the old value, which a
// reduction does not read.
template <class T, class F>
T change_word(T* address, F operation, bool reads, Ordering ordering, Site site, uintptr_t pc) {
  note_access(address, sizeof(T), Access::kAtomic, pc);
  const T old = *address;
  T changed = old;
  Change change;
  change.reads = reads;
  change.writes = operation(old, &changed);
  memcpy(&change.old, &old, sizeof(T));
  memcpy(&change.changed, &changed, sizeof(T));
  order_change(address, sizeof(T), change, ordering);
  *address = changed;
  end_change(change.changed != change.old, ordering, site);
  return old;
}

// A volatile access of the kernel's own code, which is about to happen.
void note_volatile_load(const void* from, unsigned bytes, uintptr_t pc);
void note_volatile_store(void* to, unsigned bytes, uintptr_t pc);

// fence.acq_rel, its halves and fence.sc, which __threadfence is.
void fence(Ordering ordering, bool sequential);

// Whether the current thread, or somebody whom it comes after, has seen the strong store of that segment to the word.
bool has_observed(const void* word, uint32_t segment);

// The words of a launch and of shared memory in a wave begin without a past.
void begin_order_launch();
void begin_order_wave();

}  // namespace varlstm::simt
